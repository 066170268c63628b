"""One visitor's cells, on their way through the engine."""

import queue
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from playground.engine.contract import NOTHING, Ask, Event, Keep, Pictures, Start, Step, evaluations
from playground.engine.rows import Work
from playground.models import Facts
from playground.recipe import Recipe

MOST_UNREAD = 512  # events; a reader further behind than that gets steps without pictures


class Live:
    """Work under way and everybody who waits for it; visitors who ask for the same recipe share one."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.watchers: list[tuple[Request, int]] = []  # the first one asked first
        self.previewed = False

    @property
    def wants_kept(self) -> bool:
        return any(request.keep.anything for request, _ in self.watchers)

    @property
    def wants_latents(self) -> bool:
        return any(request.keep.latents for request, _ in self.watchers)


class Request:
    """Cells that wait, cells under way, and the events not yet read."""

    def __init__(
        self,
        cells: Sequence[Recipe | Ask],
        previews: bool = True,
        weight: float = 1.0,
        keep: Keep = NOTHING,
        start: Start | None = None,
        visitor: str = "",
        pictures: Pictures | None = None,
    ) -> None:
        self.waiting: deque[tuple[int, Recipe | Ask]] = deque(enumerate(cells))
        self.live: dict[int, Live] = {}
        self.draws = any(isinstance(cell, Recipe) for cell in cells)  # pictures, or only answers
        self.previews, self.weight, self.keep, self.start = previews, weight, keep, start
        self.pictures: Pictures = pictures or {}
        self.visitor = visitor  # whoever asked, where that is known
        self.served = 0.0  # share of network calls used so far, over weight
        self.cancelled = False  # set by the reader, read by the loop at its next tick
        self.open = len(cells)  # cells without a last event
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()

    def evaluations_left(self, facts: Facts) -> int:
        """Network rows still to run for this request, were it alone, of a model with these facts."""
        waiting = sum(evaluations(ask, facts, self.keep) for _, ask in list(self.waiting))
        live = [entry.work for entry in list(self.live.values())]
        return waiting + sum((work.of - work.k) * len(work.texts()) for work in live)

    def tell(self, event: Event) -> None:
        if isinstance(event, Step) and event.preview is not None and self._events.qsize() > MOST_UNREAD:
            event = replace(event, preview=None)
        self._events.put(event)

    def finish(self, event: Event) -> None:
        """The last event of a cell: Done, Answer or Failed."""
        self.live.pop(event.cell, None)
        self.open -= 1
        self._events.put(event)
        if self.open == 0:
            self.end()

    def end(self) -> None:
        self._events.put(None)

    @property
    def unread(self) -> bool:
        return not self._events.empty()

    def read(self) -> Event | None:
        """The next event, waiting for it; None after the last."""
        return self._events.get()
