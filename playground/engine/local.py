"""One model on one device for all visitors: a thread that runs the loop, and the way in and out of it."""

import atexit
import logging
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from typing_extensions import Unpack

from playground.engine import zero_gpu
from playground.engine.contract import (
    NOTHING,
    PREPARING,
    Answer,
    Ask,
    Done,
    Event,
    Failed,
    How,
    Keep,
    Outlook,
    Pictures,
    Result,
    Unread,
    Waiting,
    evaluations,
    seconds_of,
)
from playground.engine.loop import Loop
from playground.engine.request import Request
from playground.engine.whole import WholeLoop
from playground.models import Facts, Model, load_model
from playground.models.anatomy import Anatomy, Cost
from playground.models.running.threads import dismiss_team
from playground.models.single_file import read_as_plain
from playground.models.words import Words
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.sources.given import Source

RUNTIMES = ("openvino", "torch")
LONGEST_TICK = 60.0  # seconds that the end of the process waits for one
# Seconds that the first run waits for the converted network, so that its pictures are those of every later run to the
# last bit. Pocket needs less the first time on a machine and about one later; a larger network is not waited for. What
# pages ask before any run is answered at once, by torch, because a page is built of it.
PATIENCE = 30.0
RESTARTED = "The engine stopped unexpectedly and was started again. Finished pictures are kept; Run draws the rest."
log = logging.getLogger(__name__)


class LocalEngine:
    """The `Engine` of this process: visitors' cells are denoised together, tick by tick; nobody waits for somebody
    else's whole grid. What its methods do is said in the contract."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.facts: Facts = model.facts
        self.loop = self._new_loop()
        self.key = zero_gpu.known(self)
        self._ticking = threading.Lock()
        # A thread that is inside torch when Python ends would abort the process.
        self._at_exit = _waiting(weakref.ref(self))
        atexit.register(self._at_exit)
        self._arrived: list[Request] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def _new_loop(self) -> Loop:
        return WholeLoop(self.model) if self.facts.whole else Loop(self.model)

    @property
    def runtime(self) -> str:
        return self.model.runtime

    def close(self) -> None:
        """Ends the runs under way and the thread; with the last reference to it the model's memory is free again."""
        atexit.unregister(self._at_exit)
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(LONGEST_TICK)

    def warm_up(self) -> None:
        """Wait for the network's fastest form and run a small grid, so that no visitor's first step is the slow one.

        On ZeroGPU nothing: there a device is lent for visitors' calls only, and each worker starts anew.
        """
        if zero_gpu.ACTIVE:
            return
        self.model.wait_until_converted()
        scale = {"guidance_scale": 2.0} if self.facts.cfg else {}
        base = self.facts.usual.replace(num_inference_steps=2, **scale)
        for _ in self.run([base.replace(seed=s) for s in range(4)], visitor=PREPARING):
            pass

    @property
    def is_there(self) -> bool:
        """In memory, as long as it is."""
        return True

    def of(self, model: str) -> "LocalEngine":
        return self

    def check(self, recipe: Recipe) -> None:
        self.model.check(recipe)

    def words(self, text: str, chunks: int = 0) -> Words:
        return self.model.words(text, chunks)

    def anatomy(self, width: int, height: int) -> Anatomy:
        self._check_parts()
        return self.model.anatomy(width, height)

    def cost(self, width: int, height: int) -> Cost:
        self._check_parts()
        return self.model.cost(width, height)

    def _check_parts(self) -> None:
        if self.facts.whole:
            raise Refusal(self.facts.whole)

    def estimate(self, recipes: Sequence[Recipe], keep: Keep = NOTHING) -> float | None:
        return seconds_of(recipes, self.facts, self.loop.measured, keep)

    def outlook(self, recipes: Sequence[Recipe], visitor: str = "", keep: Keep = NOTHING) -> Outlook:
        under_way = [r for r in [*self.loop.requests, *self._arrived] if r.open and not r.cancelled]
        others = [r for r in under_way if not visitor or r.visitor != visitor]
        asked_for = sum(r.visitor != PREPARING for r in others)
        alone = self.estimate(recipes, keep)
        if alone is None:
            return Outlook(asked_for, None)
        own = sum(evaluations(recipe, self.facts, keep) for recipe in recipes)
        left: Counter[object] = Counter()  # by visitor, and of nobody known by request
        for r in others:
            left[r.visitor or r] += r.evaluations_left(self.facts)
        between = sum(min(needed, own) for needed in left.values())
        return Outlook(asked_for, alone + between * self.loop.seconds_per_evaluation)

    def render(self, recipe: Recipe, pictures: Pictures | None = None) -> Result:
        for event in self.run([recipe], previews=False, pictures=pictures):
            if isinstance(event, Done):
                return event.result
            if isinstance(event, Failed):
                raise Refusal(event.reason)
        raise Refusal("The run ended without a picture.")

    def run(self, cells: Sequence[Recipe], unread: Unread | None = None, **how: Unpack[How]) -> Iterator[Event]:
        if not cells:
            return
        if zero_gpu.ACTIVE:
            yield from zero_gpu.run(self, cells, unread, **how)
            return
        outlook = self.outlook(cells, how.get("visitor", ""), how.get("keep", NOTHING))
        if outlook.others:
            yield Waiting(outlook.others, outlook.seconds)
        yield from self._events(Request(cells, **how), unread)

    def ask(self, asks: Sequence[Ask], visitor: str = "", weight: float = 1.0) -> Iterator[Answer]:
        if zero_gpu.ACTIVE:
            events = zero_gpu.run(self, asks, previews=False)
        else:
            events = self._events(Request(asks, previews=False, weight=weight, visitor=visitor))
        for event in events if asks else ():
            if isinstance(event, Failed):
                raise Refusal(event.reason)
            if isinstance(event, Answer):
                yield event

    def batches_here(self, cells: Sequence[Recipe | Ask], **how: Unpack[How]) -> Iterator[list[Event]]:
        """The events of one tick after the other, ticking in the caller's own thread: for workers that live for one
        call, as on ZeroGPU."""
        loop, request = self._new_loop(), Request(cells, **how)
        loop.measured = self.loop.measured
        loop.add(request)
        while loop.busy:
            loop.tick()
            self.loop.measured = loop.measured
            batch = []
            while request.unread:
                if (event := request.read()) is not None:
                    batch.append(event)
            if batch:
                yield batch

    def _events(self, request: Request, unread: Unread | None = None) -> Iterator[Event]:
        """What the engine's thread tells of a request, until its end or until the reader leaves."""
        self._submit(request)
        try:
            while (event := request.read()) is not None:
                yield event
        finally:
            request.cancelled = True
            while unread is not None and request.unread:
                if isinstance(event := request.read(), Done):
                    unread(event)

    def _submit(self, request: Request) -> None:
        dismiss_team()
        with self._wake:
            if self._closed:
                raise Refusal("This model was replaced by another one.")
            self._arrived.append(request)
            if self._thread is None or not self._thread.is_alive():  # never started, or lost in a forked process
                self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
                self._thread.start()
            self._wake.notify()

    def _work(self) -> None:
        """Tick as long as there is something to do; an error that no cell owns ends the requests, not the thread."""
        waited = False
        while True:
            if not self.loop.busy:
                dismiss_team()  # others compute meanwhile: whoever imported this, or a page's own arithmetic
            with self._wake:
                while not self._arrived and not self.loop.busy and not self._closed:
                    self._wake.wait()
                arrived, self._arrived = self._arrived, []
            if not waited and any(request.draws for request in arrived):
                waited = True
                self.model.wait_until_converted(PATIENCE)
            for request in arrived:
                self.loop.add(request)
            if self._closed:
                self.loop.fail_all("This model was replaced by another one.")
                return
            try:
                with self._ticking:
                    self.loop.tick()
            except Exception:
                log.exception("The engine's loop failed; its requests are told and it goes on.")
                self.loop.fail_all(RESTARTED)
                time.sleep(0.1)  # a fault that repeats must not spin


def _waiting(engine: "weakref.ref[LocalEngine]"):  # noqa: ANN202  (a function for atexit)
    """What waits at the end of the process for the tick under way; nobody gets another one after it."""

    def wait() -> None:
        if (it := engine()) is not None:
            it._ticking.acquire(timeout=LONGEST_TICK)

    return wait


@lru_cache(None)
def _say(sentence: str) -> None:
    """Once for each, because a model that made room is opened again."""
    log.warning(sentence)


def open_engine(
    model: str | Path | Source = "pocket",
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
    runtime: str = "openvino",
    controlnet: Path | None = None,
    loras: Sequence[Path] = (),
    memory: int | None = None,
    preview: Path | None = None,
) -> LocalEngine:
    """A registered model name, a folder in diffusers layout, a single file, or an id of the hub. Raises Refusal when
    there is none.

    `runtime`: "openvino" computes the network by OpenVINO on a CPU, as soon as that is ready; "torch" never does.
    `controlnet`: the folder of one that fits the model. `loras`: folders of LoRA files, besides the model's own; what
    does not fit the model is left out of them. `memory`: bytes of the device that model and pictures may take at most.
    `preview`: the folder of an AutoencoderTiny that fits the model, which then draws previews. Where the model has no
    use for a `preview`, the log says so.
    """
    if runtime not in RUNTIMES:
        raise Refusal(f"runtime must be one of {', '.join(RUNTIMES)}, not {runtime!r}.")
    loaded = load_model(model, device, dtype, loras, memory, preview)
    if loaded.facts.memory:
        _say(f"{loaded.facts.name} has no room for all of it at once: {loaded.facts.memory}.")
    if loaded.facts.whole and preview is not None:
        why = "its steps are not looked into"
        _say(f"--preview is not used for {loaded.facts.name}, which is run by its own pipeline: {why}.")
    if plain := read_as_plain(loaded.facts):
        _say(plain)
    for name, why in loaded.facts.left_out.items():
        _say(f"The LoRA {name} is left out for {loaded.facts.name}: {why}.")
    if controlnet is not None:
        loaded.attach_control(controlnet)
    if runtime == "openvino":
        loaded.convert()
    return LocalEngine(loaded)
