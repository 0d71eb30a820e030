"""The iPXE script that boots a machine from a URL.

Sources: https://ipxe.org/scripting, https://ipxe.org/cmd and https://ipxe.org/cfg. What each line
works around was found by booting; tests/boot holds it.

Rounds over the network cards. The quick one skips what does not answer at once, so that a card that
works is found in seconds whatever hangs on the others. Where there are several, the next one gives a
slow server more time on those that have an address. The patient one waits as long as a slow LAN
needs: links, spanning tree (30 s with the timers of IEEE 802.1D), a DHCP server that answers late.
Then the script says what it tried and leaves the machine to the operator.
"""

from boots_from.chain_url import ChainUrl

SHOWN = 158  # bytes of the URL that are echoed: two lines of the 80-column screen

# The URL to boot from stands in the script once, as the last word of a command: iPXE expands its
# settings when that command runs, which is after DHCP, and takes everything else in it literally.
_BOOT = {
    # Fetched and run in two steps, so that a server's script that fails isn't taken for a server
    # that does not answer, and run again. --timeout is without progress: a server that accepts and
    # never answers would hold the machine for 120 s.
    "chain": "imgselect --autofree --timeout ${{stall}} {url} && goto run ||\n{ecdsa}",
    # No --keep: a disk that stays registered makes every later try fail.
    "sanboot": "sanboot {url} && goto ended ||",
}
# This iPXE does TLS with RSA alone. The errors: the server has no such certificate; its CA has none; its CA is unknown,
# since in the firmware's store one with ECDSA hides those behind it. They have other numbers on BIOS. The ESP has a
# second build, with ECDSA, for x86-64 and ARM64: it uses the card that is open, reads this script, and comes back to
# hand over to the next boot device. What "file:" names there is the first one's memory: it doesn't start itself.
_ECDSA = """\
set error ${errno}
iseq ${error} 0x410de18f && goto ecdsa ||
iseq ${error} 0x3c00e183 && goto ecdsa ||
iseq ${error} 0x216eb8f || goto elsewhere
:ecdsa
imgselect --autofree file:/EFI/BOOT/ecdsa-${buildarch}.efi || goto elsewhere
imgfetch --name autoexec.ipxe file:/EFI/BOOT/autoexec.ipxe || goto elsewhere
imgexec && goto ended ||
set error ${errno}
imgfree autoexec.ipxe ||
# Its exit 1, at :ended. The other: Secure Boot.
iseq ${error} 0x7f0482ff && goto ended ||
iseq ${error} 0x7f04819a && set why${i} Secure Boot: enroll ecdsa-${buildarch}.efi ||
:elsewhere"""
# How a card gets its address in the quick round: IPv4 unless the URL itself is IPv6, then the other.
_QUICK = {
    False: "ifconf --configurator dhcp --timeout 4500 ${c} && set ${c}/dns6:ipv4 0.0.0.0 && goto fetch ||\n"
    "ifconf --configurator ipv6 --timeout 500 ${c} && goto fetch || goto next",
    True: "ifconf --configurator ipv6 --timeout 4500 ${c} && goto fetch || goto next",
}

_SCRIPT = """\
#!ipxe
# Boots this machine from the URL below; the server there runs the show.
:try
echo
echo boots-from: booting from
echo {shown}
# Opens every card, so that their links come up together.
ifopen ||
isset ${{net0/mac}} || goto nocard
clear reached ||
clear linked ||
set round quick
set link 4000
# With one card there is nothing to hurry to.
set stall 8000
isset ${{net1/mac}} && set stall 1500 ||
:round
set i:int32 0
:card
set c net${{i}}
isset ${{${{c}}/mac}} || goto last
iseq ${{round}} address && goto address ||
set why${{i}} no link: look at cable and switch port
iflinkwait --timeout ${{link}} ${{c}} || goto unplugged
set why${{i}} no answer to DHCP: look at VLAN and server
set linked yes
iseq ${{round}} quick || goto patient
# A quick round over a name's IPv4 address: an address in dns6 that is none hides IPv6's resolver.
{quick}
:patient
clear ${{c}}/dns6 ||
ifconf --timeout 60000 ${{c}} && goto fetch || goto next
:address
isset ${{${{c}}/priority}} || goto next
ifopen ${{c}} || goto next
:fetch
set why${{i}} has an address, but the URL failed
set reached yes
# The server is to see this card, and no other, in mac, netX and ip.
set ${{c}}/priority:int8 1
set j:int32 0
:others
isset ${{net${{j}}/mac}} || goto alone
iseq ${{i}} ${{j}} || ifclose net${{j}} ||
inc j
goto others
:alone
{boot}
# Not from here: on to the next card.
set ${{c}}/priority:int8 0
ifclose ${{c}}
ifopen ||
set link 4000
goto next
:unplugged
# Links come up together: the others have had the time that this one was given.
set link 500
:next
inc i
goto card
:last
iseq ${{round}} patient && goto failed ||
iseq ${{round}} address && goto third ||
set link 10000
set stall 12000
isset ${{net1/mac}} && isset ${{reached}} && set round address || set round patient
isset ${{reached}} && goto round ||
isset ${{linked}} || goto round
# A real card's link drops when it is closed: it has to stay open while the switch makes up its mind.
ifopen ||
prompt --timeout 30000 No address: waiting 30 s for the switch (spanning tree); a key skips this ||
goto round
:third
# All have had their time: once more, with DHCP anew and IPv6.
set round patient
set link 2000
set stall 5000
goto round

:run
imgstat
echo boots-from: running it. If nothing follows, it is no boot program: a web page?
imgexec || goto scriptfailed
:ended
echo boots-from: the server's script has ended: on to the next boot device
# exit 1, not exit: after exit OVMF opens its set-up menu.
exit 1

:nocard
echo
echo boots-from: NO NETWORK CARD FOUND. Either there is none, it is switched off in
echo the firmware's set-up, or iPXE has no driver for it, as for those on USB.
goto shell
:scriptfailed
echo
echo boots-from: what the server sent FAILED, for the reason above. It came from
echo {shown}
echo by ${{c}} ${{mac}} ${{ip}}
goto shell
:failed
echo
echo boots-from: could NOT boot this machine from
echo {shown}
set i:int32 0
:report
isset ${{net${{i}}/mac}} || goto reported
echo net${{i}} ${{net${{i}}/mac}} ${{net${{i}}/chip}}: ${{why${{i}}}}
set gw none
isset ${{net${{i}}/gateway}} && set gw ${{net${{i}}/gateway}} ||
set ns none
isset ${{net${{i}}/dns}} && set ns ${{net${{i}}/dns}} ||
isset ${{net${{i}}/ip}} && echo ..... ${{net${{i}}/ip}} gateway ${{gw}} DNS ${{ns}} ||
isset ${{net${{i}}/gateway6}} && echo ..... ${{net${{i}}/ip6}} gateway ${{net${{i}}/gateway6}} ||
inc i
goto report
:reported
isset ${{reached}} || goto shell
{meanings}:shell
echo iPXE's shell: "exit" tries again, "reboot" restarts, "help" lists its commands.
shell ||
goto try
"""

# What iPXE's messages mean, where their own words don't say it; the script can't read which one it was.
_MEANINGS = """\
echo Connection timed out: no answer. Connection reset: nothing listens on the port.
echo Error 0x3e11: DNS does not know the name. Exec format error: no boot program.
"""
_HTTPS_MEANING = """\
echo Permission denied: its certificate is untrusted, expired, or of another name.
echo Operation not permitted, not supported: no RSA certificate, or no TLS 1.2.
"""


def render(chain_url: ChainUrl) -> bytes:
    """Return the script that boots from `chain_url`, in ASCII.

    Args:
        chain_url: a checked URL. What is echoed on the machine's screen is its `public` form, cut
            to two lines; iPXE itself leaves out user information where it prints the URL.
    """
    public = chain_url.public
    shown = public if len(public) <= SHOWN else public[: SHOWN - 3] + "..."
    literal6 = "//[" in public or public.startswith("iscsi:[")
    return _SCRIPT.format(
        shown=shown,
        quick=_QUICK[literal6],
        boot=_BOOT[chain_url.scheme.boot].format(url=chain_url.url, ecdsa=_ECDSA),
        meanings=_MEANINGS + (_HTTPS_MEANING if chain_url.scheme.name == "https" else ""),
    ).encode("ascii")


def redact(script: bytes, chain_url: ChainUrl) -> bytes:
    """Return a rendered script without user information: what may be printed."""
    return script.replace(chain_url.url.encode("ascii"), chain_url.public.encode("ascii"))
