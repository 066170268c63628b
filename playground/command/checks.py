"""What can be found wrong before anything heavy is imported: ports, folders, and packages that are not there."""

import errno
import importlib.util
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playground.refusal import Refusal
from playground.sources.lora_files import files_in

PORTS = (1, 65_535)
THIS_MACHINE = "127.0.0.1"
ONE_WITH_CONTROLNET = "--controlnet is for one model; start without the others."
ONE_WITH_PREVIEW = "--preview is for one model; put it as taesd into the folder of each instead."
UNITS = {"MB": 10**6, "GB": 10**9, "MIB": 2**20, "GIB": 2**30}
MEMORY = re.compile(r"(\d{1,6}(?:\.\d{1,6})?) ?([MG]i?B)", re.IGNORECASE)
YES, NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")  # of a variable that switches something


@dataclass(frozen=True)
class Extras:
    """What is given beside a model, for any of several."""

    loras: Sequence[Path] = ()  # folders of LoRA files
    memory: int | None = None  # bytes of the device to be used at most
    preview: Path | None = None  # the folder of a tiny autoencoder, for one model
    hosted: Path | None = None  # the file that names models which draw elsewhere


NO_EXTRAS = Extras()


def check_memory(asked: str | None) -> int | None:
    """ "8GB" -> bytes. Raises Refusal for what is no size."""
    if asked is None:
        return None
    found = MEMORY.fullmatch(asked.strip())
    if found is None or not float(found[1]):
        raise Refusal(f"--memory needs a size such as 8GB, 8GiB or 900MB, not {asked[:20]!r}.")
    return int(float(found[1]) * UNITS[found[2].upper()])


def default_model() -> str:
    """PLAYGROUND_MODEL, else pocket."""
    return os.environ.get("PLAYGROUND_MODEL") or "pocket"


def default_hosted() -> Path | None:
    """PLAYGROUND_HOSTED, else none."""
    return Path(named) if (named := os.environ.get("PLAYGROUND_HOSTED")) else None


def default_port() -> str | None:
    """PORT, else GRADIO_SERVER_PORT; None where neither is set, which takes the first free one."""
    return os.environ.get("PORT") or os.environ.get("GRADIO_SERVER_PORT") or None


def check_mcp(asked: bool) -> bool:
    """Whether tools for agents are served: asked for, or PLAYGROUND_MCP says so. Nothing is imported.

    Raises Refusal for a value that is neither yes nor no, and where the package is missing.
    """
    said = os.environ.get("PLAYGROUND_MCP", "").strip().lower()
    if said not in YES + NO:
        raise Refusal(f"PLAYGROUND_MCP must be 1 or 0, not {said[:20]!r}.")
    wanted = asked or said in YES
    if wanted and importlib.util.find_spec("mcp") is None:
        raise Refusal('--mcp needs the package mcp, which is not installed: pip install "gradio[mcp]"')
    return wanted


def check_loras(folders: Sequence[Path]) -> list[Path]:
    """The folders of --loras. Raises Refusal for one that is none, or holds no LoRA file."""
    for folder in folders:
        if not folder.is_dir():
            raise Refusal(f"--loras needs a folder, and {folder.name[:60]!r} is none.")
        if not files_in(folder):
            raise Refusal(f"The folder {folder.name[:60]} of --loras holds no .safetensors file.")
    return list(folders)


def check_port(host: str | None, port: str | int | None) -> int | None:
    """A port as typed or set -> a free one; None stays None. Raises Refusal for a busy or impossible one, and for a
    host that is no address of this machine, of which Gradio tries a hundred ports for minutes."""
    if port is None:
        _bind(host, 0)
        return None
    try:
        number = int(port)
    except ValueError:
        number = 0
    if not PORTS[0] <= number <= PORTS[1]:
        raise Refusal(f"The port must be a whole number from {PORTS[0]} to {PORTS[1]:,}, not {str(port)[:20]!r}.")
    _bind(host, number)
    return number


def _bind(host: str | None, number: int) -> None:
    """Tries the port; 0 stands for any free one."""
    family = socket.AF_INET6 if ":" in (host or "") else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a port just left is free
        try:
            probe.bind((host or THIS_MACHINE, number))
        except PermissionError:
            raise Refusal(f"Port {number} needs more rights than this user has; choose one from 1,024 on.") from None
        except socket.gaierror:
            raise Refusal(f"The host {str(host)[:60]!r} is not an address of this machine.") from None
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise Refusal(f"The host {str(host)[:60]!r} is not an address of this machine.") from None
            busy = (
                "is in use already; choose another one"
                if error.errno == errno.EADDRINUSE
                else f"cannot be used: {error.strerror}"
            )
            raise Refusal(f"Port {number} {busy}.") from None
