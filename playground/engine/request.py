"""One visitor's cells, on their way through the engine."""

import queue
from collections import deque
from collections.abc import Sequence

from playground.engine.events import Event, Step
from playground.engine.trajectory import Trajectory
from playground.recipe import Recipe

MOST_UNREAD = 512  # events; a reader further behind than that gets steps without pictures


class Live:
    """A trajectory and everybody who waits for it; visitors who ask for the same recipe share one."""

    def __init__(self, trajectory: Trajectory) -> None:
        self.trajectory = trajectory
        self.watchers: list[tuple[Request, int]] = []  # the first one asked first
        self.previewed = False

    @property
    def wants_latents(self) -> bool:
        return any(request.latents for request, _ in self.watchers)


class Request:
    """Cells that wait, cells under way, and the events not yet read."""

    def __init__(
        self,
        cells: Sequence[Recipe],
        previews: bool = True,
        weight: float = 1.0,
        latents: bool = False,
        visitor: str = "",
    ) -> None:
        self.waiting: deque[tuple[int, Recipe]] = deque(enumerate(cells))
        self.live: dict[int, Live] = {}
        self.previews, self.weight, self.latents = previews, weight, latents
        self.visitor = visitor  # whoever asked, where that is known
        self.served = 0.0  # share of U-Net calls used so far, over weight
        self.cancelled = False  # set by the reader, read by the loop at its next tick
        self.open = len(cells)  # cells without a Done or Failed
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()

    @property
    def evaluations_left(self) -> int:
        """U-Net rows still to run for this request, were it alone."""
        waiting = sum(recipe.evaluations for _, recipe in list(self.waiting))
        live = [entry.trajectory for entry in list(self.live.values())]
        return waiting + sum((t.of - t.k) * len(t.texts()) for t in live)

    def tell(self, event: Event) -> None:
        if isinstance(event, Step) and event.preview is not None and self._events.qsize() > MOST_UNREAD:
            event = Step(event.cell, event.k, event.of, None, event.latents)
        self._events.put(event)

    def finish(self, event: Event) -> None:
        """The last event of a cell: Done or Failed."""
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
