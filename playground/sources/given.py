"""What is meant by a model as somebody types it: a registered name, a folder, a file, or an id of the hub."""

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playground.refusal import Refusal
from playground.sources import single_file
from playground.sources.parts import files_of, index_of, needed

REGISTERED: dict[str, Path] = {"pocket": Path(__file__).parents[1] / "models" / "pocket"}
ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", re.ASCII)  # owner/name, owner/name@revision


@dataclass(frozen=True)
class Source:
    """A model on this machine, not loaded yet."""

    name: str  # as recipes say it
    path: Path  # its folder in diffusers layout, or its single file


def _print(line: str) -> None:
    print(line, flush=True)


def source(given: "str | Path | Source", tell: Callable[[str], None] = _print) -> Source:
    """Find it, and fetch it where it is an id of the hub and not here yet; `tell` is given a line about that.

    What exists on this machine is taken first, so that `owner/name` may be a folder as well. Raises Refusal, with one
    sentence, for a model that cannot be there; which kinds can be run is for `load_model` to say.
    """
    if isinstance(given, Source):
        return given
    if (text := str(given)) in REGISTERED:
        return Source(text, REGISTERED[text])
    if isinstance(given, str) and ID.fullmatch(given) and ".." not in given and not _exists(Path(given)):
        from playground.sources import hub  # which brings an HTTP client with it

        return Source(given.partition("@")[0].rpartition("/")[2], hub.folder_of(given, tell))
    return _local(Path(given))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True  # not to be read, which is said of it


def _local(path: Path) -> Source:
    """A folder, whose index and names of files are read, or a single file, whose header is: whether it is whole, and a
    model at all, with weights that are read here."""
    shown = path.name or str(path)
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        known = ", ".join(REGISTERED)
        raise Refusal(f"There is no model named {shown!r}, and no such folder; known: {known}.") from None
    except (OSError, ValueError) as error:
        raise Refusal(f"The folder {shown[:60]} cannot be read: {getattr(error, 'strerror', 'not a path')}.") from None
    if stat.S_ISREG(kind):
        single_file.layout(path)
        return Source(path.stem, path)
    needed(index_of(path), files_of(path), shown)
    return Source(path.name, path)
