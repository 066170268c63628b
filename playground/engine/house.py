"""Several models in one process, of which one at a time is in memory.

Every model has a `Guest` (`guest.py`), which is an `Engine` like any other: pages and endpoints of that model hold it
from the start and know nothing of the others. What can be said without the network (facts, tokens, estimates) a guest
says by itself. For everything else it asks the `House` for the model, and gives it back when its run has ended.

The house lets in by turn. Whoever asks for the model that is there goes in at once, beside the runs under way, unless
somebody who came earlier waits for another model; that one comes as soon as the last run has ended. So nobody's run is
broken off by a switch, and a busy model does not keep the others out. A switch frees the model that is there, waits
until its memory is given back, then reads the next; meanwhile whoever waits is told how far it is. A run that waits
inside another one of the same visitor would wait for itself, so after LONGEST_TURN it goes in all the same.
"""

import ctypes
import gc
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch

from playground.engine.contract import Measured
from playground.engine.local import LocalEngine
from playground.refusal import Refusal
from playground.sources.given import Source

LONGEST_TURN = 20.0  # seconds that a request for the model that is there waits behind one for another
TOLD_EVERY = 0.5  # seconds between two sentences to whoever waits
log = logging.getLogger(__name__)


class Tenant(Protocol):
    """What the house knows of each model, and notes of it."""

    name: str
    source: Source
    measured: Measured  # of its speed, while it is away
    seconds_to_read: float  # as measured the last time; 0 before


@dataclass(eq=False)
class Turn:
    """One request's place in the line."""

    guest: Tenant
    since: float = field(default_factory=time.monotonic)
    inside: bool = False
    fault: str = ""  # why its model could not be read


class House:
    """Who is in, who waits, and the model that is there."""

    def __init__(self, open_model: Callable[[Source], LocalEngine]) -> None:
        self._open = open_model
        self._door = threading.Condition()
        self._line: list[Turn] = []
        self._inside = 0
        self._there: Tenant | None = None
        self._engine: LocalEngine | None = None
        self._coming: Tenant | None = None
        self._coming_since = 0.0

    @contextmanager
    def model(self, guest: Tenant) -> Iterator[LocalEngine]:
        """The engine of that model, once it is this one's turn. Raises Refusal where it cannot be read."""
        turn = self.turn(guest)
        try:
            while (engine := self.enter(turn, TOLD_EVERY)) is None:
                pass
            yield engine
        finally:
            self.leave(turn)

    def turn(self, guest: Tenant) -> Turn:
        """A place at the end of the line; to be given back by `leave`, however it ends."""
        with self._door:
            turn = Turn(guest)
            self._line.append(turn)
            return turn

    def enter(self, turn: Turn, seconds: float) -> LocalEngine | None:
        """The engine when it is its turn; None where that takes longer than so many seconds.

        Raises Refusal where its model cannot be read.
        """
        until = time.monotonic() + seconds
        with self._door:
            while True:
                guest = turn.guest
                if turn.fault:
                    raise Refusal(turn.fault)
                if self._may_enter(turn):
                    self._line.remove(turn)
                    self._inside, turn.inside = self._inside + 1, True
                    return self._engine
                if self._coming is None and not self._inside and self._line[0] is turn and self._there is not guest:
                    self._coming, self._coming_since = guest, time.monotonic()
                    threading.Thread(target=self._switch, args=(guest,), name="switch", daemon=True).start()
                if (left := until - time.monotonic()) <= 0:
                    return None
                self._door.wait(left)

    def leave(self, turn: Turn) -> None:
        with self._door:
            if turn.inside:
                self._inside, turn.inside = self._inside - 1, False
            elif turn in self._line:
                self._line.remove(turn)
            self._door.notify_all()

    def is_there(self, guest: Tenant) -> LocalEngine | None:
        """Its engine where its model is in memory at the moment, for what needs no turn."""
        with self._door:
            return self._engine if self._there is guest and self._coming is None else None

    def others(self) -> int:
        """Requests of anybody, under way or waiting, before a new one."""
        with self._door:
            return self._inside + len(self._line)

    def said(self, guest: Tenant) -> str:
        """To whoever waits for it: why, and how far it is."""
        with self._door:
            if self._coming is not None:
                passed = time.monotonic() - self._coming_since
                usually = self._coming.seconds_to_read
                of = f" of about {usually:.0f}" if usually >= 1 and passed <= usually else ""
                return f"{self._coming.name} is being read into memory: {passed:.0f}{of} s."
            if self._there is not None and self._there is not guest:
                return f"{guest.name} is read into memory when the pictures under way with {self._there.name} are done."
            return f"{guest.name} has its turn after another model, which somebody asked for earlier."

    def close(self) -> None:
        """Frees the model that is there."""
        with self._door:
            self._free()

    def _may_enter(self, turn: Turn) -> bool:
        if self._coming is not None or self._there is not turn.guest or self._engine is None:
            return False
        earlier = self._line[: self._line.index(turn)]
        patient = time.monotonic() - turn.since < LONGEST_TURN
        return not (patient and any(other.guest is not turn.guest for other in earlier))

    def _switch(self, guest: Tenant) -> None:
        """In a thread of its own, while nobody is inside."""
        begun, fault = time.monotonic(), ""
        try:
            self._free()
            engine = self._open(guest.source)
            engine.loop.measured = guest.measured
            guest.seconds_to_read = time.monotonic() - begun
            self._there, self._engine = guest, engine
        except Refusal as refusal:
            fault = str(refusal)
        except Exception as error:  # such as torch's out-of-memory errors, which are of many kinds
            log.exception("%s could not be read.", guest.name)
            fault = f"{guest.name} could not be read into memory: {type(error).__name__}."
        finally:
            with self._door:
                self._coming = None
                for turn in self._line if fault else ():
                    turn.fault = fault if turn.guest is guest else ""
                self._door.notify_all()

    def _free(self) -> None:
        """The model that is there, and its memory, which cycles of references would hold until some later time."""
        if self._engine is not None and self._there is not None:
            self._engine.model.wait_until_converted()
            self._there.measured = self._engine.loop.measured
            self._engine.close()
        self._there = self._engine = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if sys.platform == "linux":
            give_back()


def give_back() -> None:
    """Memory that was freed goes back to the system, where the C library can be asked to: glibc keeps it otherwise."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:  # another C library
        pass
