"""URLs that the command must accept, made by hypothesis."""

from hypothesis import strategies as st

SETTINGS = st.sampled_from(["${net0/mac}", "${uuid}", "${net${i}/mac:hexhyp}", "${net${a${b}}/mac}", "${next-server}"])
# Printable ASCII without a meaning in the structure of these URLs; "{" and "$" come from SETTINGS.
_LITERAL = "abcXYZ0189-._~!&'()*+,;=%|\"\\<>^`[]"
_NAME = st.text("abcxyz0189-.", min_size=1, max_size=20).filter(
    lambda name: any(c.isalpha() for c in name) and name[0] != "." and ".." not in name
)
# Without an IPv4 address at the end, which Python 3.13 and newer write.
_IPV6 = st.ip_addresses(v=6).map(lambda address: str(address) if "." not in str(address) else address.exploded)
_HOSTS = st.one_of(_NAME, SETTINGS, st.ip_addresses(v=4).map(str), _IPV6.map("[{}]".format))
_PORTS = st.one_of(st.just(""), st.integers(1, 65535).map(":{}".format))
_USERS = st.one_of(st.just(""), st.text("abc%41:", min_size=1, max_size=12).map("{}@".format))
_WORDS = st.lists(st.one_of(st.text(_LITERAL + "/:@", max_size=20), SETTINGS), max_size=4).map("".join)
_FILES = st.builds(lambda words: f"/{words.replace('%00', '%01')}boot.ipxe", _WORDS)
_QUERIES = st.one_of(st.just(""), _WORDS.map("?{}".format))
_FRAGMENTS = st.sampled_from(["", "", "#top"])


def _web(scheme: str) -> st.SearchStrategy[str]:
    paths = st.one_of(st.just(""), _FILES, _FILES.map("{}/".format))
    rest = st.builds("".join, st.tuples(_HOSTS, _PORTS, paths, _QUERIES, _FRAGMENTS))
    # After user information a second "@" is refused.
    return st.builds(lambda user, rest: f"{scheme}://{user}{rest.replace('@', '%40') if user else rest}", _USERS, rest)


def _file(scheme: str) -> st.SearchStrategy[str]:
    return st.builds("".join, st.tuples(st.just(f"{scheme}://"), _HOSTS, _PORTS, _FILES))


_ISCSI = st.builds(
    "iscsi:{}:{}:{}:{}:{}".format,
    _HOSTS,
    st.sampled_from(["", "6"]),
    st.one_of(st.just(""), st.integers(1, 65535)),
    st.sampled_from(["", "0", "1f", "0-1-0-0"]),
    st.sampled_from(["iqn.2004-01.example:disk:1", "eui.0123456789abcdef", "naa.0123456789abcdef", "${target}"]),
)
_AOE = st.builds("aoe:e{}.{}".format, st.integers(0, 65534), st.integers(0, 254))

ACCEPTED = st.one_of(_web("http"), _web("https"), _web("HTTP"), _file("tftp"), _file("nfs"), _ISCSI, _AOE)
