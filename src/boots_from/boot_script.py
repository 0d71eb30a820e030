"""The iPXE script that boots a machine from a URL.

Sources: https://ipxe.org/scripting and https://ipxe.org/cmd; what each line works around was found
by booting, and the boot tests hold it.
"""

from boots_from.chain_url import ChainUrl

_SHOWN = 158  # bytes of the URL that are echoed: two lines of the 80-column screen

# The URL to boot from stands in the script once, as the last word of a command: iPXE expands its
# settings when that command runs, which is after DHCP, and takes everything else in it literally.
_BOOT_COMMAND = {
    # --timeout: without it a server that accepts and never answers holds the machine for 120 s.
    "chain": "chain --autofree --timeout 20000",
    # No --keep: a device that stays registered makes every later try fail.
    "sanboot": "sanboot",
}

# The last lines of each ending:
# - exit 1, not exit: after plain exit OVMF opens its set-up menu; after exit 1 BIOS and UEFI alike
#   go on to the next boot device.
# - "shell" returns when the operator types exit there, and the script tries again.
_SCRIPT = """\
#!ipxe
# boots-from: get an address, then boot from the URL. The server runs the show.
:try
echo
echo boots-from: booting from
echo {shown}
dhcp || goto failed
{command} {url} || goto failed
echo boots-from: the server's script ended: on to the next boot device
exit 1

:failed
echo
echo boots-from: this machine could not boot from
echo {shown}
echo What went wrong is said above. The network as it is now:
ifstat
route
echo This is iPXE's shell. Type exit to try again, help for the commands.
shell || goto try
goto try
"""


def render(chain_url: ChainUrl) -> bytes:
    """Return the script that boots from `chain_url`, in ASCII.

    Args:
        chain_url: a checked URL. What is echoed on the machine's screen is its `public` form, cut
            to two lines; iPXE itself leaves out user information where it prints the URL.
    """
    shown = chain_url.public if len(chain_url.public) <= _SHOWN else chain_url.public[: _SHOWN - 3] + "..."
    return _SCRIPT.format(shown=shown, command=_BOOT_COMMAND[chain_url.scheme.boot], url=chain_url.url).encode("ascii")


def redact(script: bytes, chain_url: ChainUrl) -> bytes:
    """Return a rendered script without user information: what may be printed."""
    return script.replace(chain_url.url.encode("ascii"), chain_url.public.encode("ascii"))
