"""How far a download is, as lines: the hub's own bars are not drawn where nobody watches a terminal, as in a log."""

import threading
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

PARTS = 10  # lines of a download at least, where it is long enough
EVERY = 10.0  # seconds, after which one more is said


def said(size: float) -> str:
    """Bytes as people say them, in powers of a thousand as the hub does."""
    for unit, of in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= of:
            return f"{size / of:.3g} {unit}"
    return f"{size:.0f} bytes"


class GivenUp(Exception):
    """Whoever asked for a download does not wait for it any longer."""


def telling(tell: Callable[[str], None], whole: int, given_up: threading.Event) -> type[tqdm]:
    """A class that the hub's client takes for its bars; it tells of so many bytes, and draws nothing. It ends the
    download with GivenUp once that is set."""
    lock = threading.Lock()
    done: dict[int, float] = {}  # by bar: one counts what comes, another what is written
    last = {"part": 0, "at": time.monotonic()}

    class Telling(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            self._counts_bytes = options.get("unit") == "B"
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            if not self._counts_bytes:
                return
            if given_up.is_set():
                raise GivenUp
            with lock:
                done[id(self)] = done.get(id(self), 0.0) + (n or 0)
                most, now = min(max(done.values()), whole), time.monotonic()
                part = int(PARTS * most / whole) if whole else 0
                if part > last["part"] or now - last["at"] > EVERY:
                    last.update(part=part, at=now)
                    tell(f"{said(most)} of {said(whole)}")

    return Telling
