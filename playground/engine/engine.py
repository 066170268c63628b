"""One model on one device for all visitors: a thread that runs the loop, and the way in and out of it."""

import atexit
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from playground.engine import zero_gpu
from playground.engine.events import Done, Event, Failed, Result, Waiting
from playground.engine.loop import Loop
from playground.engine.request import Request
from playground.engine.turns import Turns
from playground.models import LatentModel, load_model
from playground.models.running.threads import dismiss_team
from playground.recipe import Recipe

LONGEST_TICK = 60.0  # seconds that the end of the process waits for one
RESTARTED = "The engine stopped unexpectedly and was started again. Finished pictures are kept; Run draws the rest."
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outlook:
    """What a new request would meet, by the speeds measured so far."""

    others: int  # requests under way
    seconds: float | None  # until the last picture, sharing the machine fairly with the others; None before any speed


class Engine:
    """Visitors' cells are denoised together, tick by tick; nobody waits for somebody else's whole grid."""

    def __init__(self, model: LatentModel) -> None:
        self.model = model
        self.loop = Loop(model)
        self._turns = Turns()  # of the model: one tick of the loop, or one piece of somebody's work between two ticks
        # A thread that is inside torch when Python ends would abort the process.
        atexit.register(self._turns.close, LONGEST_TICK)
        self._arrived: list[Request] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    def warm_up(self) -> None:
        """Run a small grid once and measure the best batch, so that no visitor's first step is the slow one.

        On ZeroGPU nothing: there a device is lent for visitors' calls only, and each worker starts anew.
        """
        if zero_gpu.ACTIVE:
            return
        side = self.model.default_side
        base = Recipe(num_inference_steps=2, guidance_scale=2.0, model=self.model.name, width=side, height=side)
        for _ in self.run([base.replace(seed=s) for s in range(4)]):
            pass

    def estimate(self, recipes: Sequence[Recipe]) -> float | None:
        """Seconds that these recipes would take alone, from the latest measured speeds; None before any."""
        if not self.loop.seconds_per_evaluation:
            return None
        evaluations = sum(r.evaluations for r in recipes)
        return evaluations * self.loop.seconds_per_evaluation + len(recipes) * self.loop.seconds_per_decode

    def outlook(self, recipes: Sequence[Recipe], visitor: str = "") -> Outlook:
        """Seconds until these recipes would be finished if they were asked for now.

        Everybody gets an equal share of the network, so each of the others takes as many evaluations as it still
        needs, and at most as many as these recipes do. The `visitor`'s own requests do not count as others, because a
        page's new run takes the place of the one under way.
        """
        under_way = [r for r in [*self.loop.requests, *self._arrived] if r.open and not r.cancelled]
        others = [r for r in under_way if not visitor or r.visitor != visitor]
        alone = self.estimate(recipes)
        if alone is None:
            return Outlook(len(others), None)
        own = sum(r.evaluations for r in recipes)
        between = sum(min(r.evaluations_left, own) for r in others)
        return Outlook(len(others), alone + between * self.loop.seconds_per_evaluation)

    def render(self, recipe: Recipe) -> Result:
        """One picture. Raises RuntimeError with the reason when it cannot be made."""
        for event in self.run([recipe], previews=False):
            if isinstance(event, Done):
                return event.result
            if isinstance(event, Failed):
                raise RuntimeError(event.reason)
        raise RuntimeError("The run ended without a picture.")

    def run(
        self,
        cells: Sequence[Recipe],
        previews: bool = True,
        latents: bool = False,
        unread: Callable[[Done], None] | None = None,
        visitor: str = "",
    ) -> Iterator[Event]:
        """Step events for every cell as it advances, and one Done or Failed for each. Closing stops within a step.

        The first event is Waiting where other requests are under way. `previews`: steps carry pictures of x̂₀, as often
        as a twentieth of the time allows; `latents`: every step carries x_t and x̂₀ themselves.
        `unread` is told the cells that were finished but not yet read when the run was closed, so that none is lost.
        `visitor` names whoever asks, see `outlook`.
        """
        if not cells:
            return
        if zero_gpu.ACTIVE:
            yield from zero_gpu.run(self, cells, previews, latents)
            return
        outlook = self.outlook(cells, visitor)
        if outlook.others:
            yield Waiting(outlook.others, outlook.seconds)
        request = Request(cells, previews, latents=latents, visitor=visitor)
        self._submit(request)
        try:
            while (event := request.read()) is not None:
                yield event
        finally:
            request.cancelled = True
            while unread is not None and request.unread:
                if isinstance(event := request.read(), Done):
                    unread(event)

    def run_here(self, cells: Sequence[Recipe], previews: bool = True, latents: bool = False) -> Iterator[Event]:
        """Like `run`, but ticking in the caller's own thread: for workers that live for one call, as on ZeroGPU."""
        loop, request = Loop(self.model), Request(cells, previews, latents=latents)
        loop.measured = self.loop.measured
        loop.add(request)
        while loop.busy:
            loop.tick()
            self.loop.measured = loop.measured
            while request.unread:
                if (event := request.read()) is not None:
                    yield event

    @contextmanager
    def between_ticks(self) -> Iterator[LatentModel]:
        """The model with nobody else on it. Visitors' grids wait meanwhile, so hold it for about one U-Net call."""
        with self._turns.one():
            try:
                yield self.model
            finally:
                dismiss_team()

    def _submit(self, request: Request) -> None:
        dismiss_team()
        with self._wake:
            self._arrived.append(request)
            if self._thread is None or not self._thread.is_alive():  # never started, or lost in a forked process
                self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
                self._thread.start()
            self._wake.notify()

    def _work(self) -> None:
        """Tick as long as there is something to do; an error that no cell owns ends the requests, not the thread."""
        while True:
            if not self.loop.busy:
                dismiss_team()  # others compute meanwhile: the views, or whoever imported this
            with self._wake:
                while not self._arrived and not self.loop.busy:
                    self._wake.wait()
                arrived, self._arrived = self._arrived, []
            for request in arrived:
                self.loop.add(request)
            try:
                with self._turns.one():
                    self.loop.tick()
            except Exception:
                log.exception("The engine's loop failed; its requests are told and it goes on.")
                self.loop.fail_all(RESTARTED)
                time.sleep(0.1)  # a fault that repeats must not spin


def open_engine(
    model: str | Path = "pocket", device: torch.device | None = None, dtype: torch.dtype | None = None
) -> Engine:
    """A registered model name, or a local folder in diffusers layout. Raises ValueError when there is none."""
    return Engine(load_model(model, device, dtype))
