"""Where visitors find a class: the address that a phone in the room can open, and its picture."""

import io
import socket

import segno

EVERYWHERE = ("0.0.0.0", "::")  # a server that listens there can be reached from outside
THIS_MACHINE = ("127.0.0.1", "localhost", "[::1]", "0.0.0.0")
LONGEST = 300  # letters of an address that becomes a picture


def address_from_outside() -> str | None:
    """This machine's address in its network; None where it is in none. No packet is sent: a UDP socket that is
    connected only picks the interface (192.0.2.1 is RFC 5737's address for documentation)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return None


def join_address(scheme: str, host: str, root: str, listens: str | None, code: str) -> str:
    """The address of /join with the code in it.

    `host` and `scheme`: by which the teacher's browser came; `root`: the path before the page's own; `listens`: where
    the server does. A teacher who sits at the server itself came by a name that means something else on a phone, so
    this machine's address in its network takes its place.
    """
    name, _, port = host.rpartition(":") if ":" in host.rpartition("]")[2] else (host, "", "")
    if name.lower() in THIS_MACHINE and listens in EVERYWHERE and (outside := address_from_outside()):
        host = f"{outside}:{port}" if port else outside
    return f"{scheme}://{host}{root.rstrip('/')}/join?code={code}"


def only_here(address: str) -> bool:
    """No other machine can open it."""
    host = address.partition("://")[2].partition("/")[0]
    name = host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
    return name.lower() in THIS_MACHINE


def qr_svg(address: str) -> str:
    """A QR code as inline SVG, black on white with its quiet zone; empty for an address that is too long."""
    if len(address) > LONGEST:
        return ""
    code = segno.make(address, error="m", micro=False)
    return code.svg_inline(border=2, dark="#000000", light="#ffffff", omitsize=True)


def qr_text(address: str) -> str:
    """The same for a terminal with a dark background: two rows of it in one of the text."""
    text = io.StringIO()
    segno.make(address, error="l", micro=False).terminal(text, border=2, compact=True)
    return text.getvalue()
