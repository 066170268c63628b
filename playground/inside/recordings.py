"""What the cells of a grid went through, kept in memory: what each network call saw, and the x̂₀ that followed."""

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from playground.engine import Engine, Event, Keep, Step
from playground.engine.contract import How, Pictures
from playground.recipe import Recipe

MOST_FRAMES = 40  # of one cell; longer runs keep every n-th call, and always the last
MOST_BY_VAE = 10  # of one cell of a model whose VAE must draw them, for want of a quick decoder
MOST_BYTES = 128 * 2**20  # of all recordings kept in memory; the least recently used go first


def kept_calls(of: int, most: int = MOST_FRAMES) -> list[int]:
    """The calls (1 … of) whose frames are kept, evenly spread, the last one always."""
    n = min(of, most)
    return sorted({math.ceil((i + 1) * of / n) for i in range(n)})


@dataclass(frozen=True, eq=False)
class Recording:
    """One cell's run, thinned to `kept_calls`."""

    calls: list[int]
    of: int
    timesteps: list[float]  # that the network was told at these calls
    seen: Tensor  # (F, C, h, w) fp16: x_t on the variance-preserving scale
    x0: Tensor  # (F, C, h, w) fp16: x̂₀

    @property
    def bytes(self) -> int:
        return 2 * self.x0.numel() * self.x0.element_size()

    def thinned(self, most: int) -> "Recording":
        """At most so many of its frames, evenly spread, the last one always."""
        rows = [i - 1 for i in kept_calls(len(self.calls), most)]
        calls, timesteps = [self.calls[i] for i in rows], [self.timesteps[i] for i in rows]
        return Recording(calls, self.of, timesteps, self.seen[rows], self.x0[rows])

    def at(self, share: float) -> int:
        """0 … 1 of the run -> the frame nearest to it"""
        return min(range(len(self.calls)), key=lambda i: abs(self.calls[i] / self.of - share))


class Recordings:
    """Finished recordings in memory by recipe; a recording that is gone is recorded again when somebody asks for it."""

    def __init__(self, engine: Engine, most_bytes: int = MOST_BYTES, most_frames: int = MOST_FRAMES) -> None:
        """`most_frames` of each run, where fewer will be looked at than could be."""
        self._engine, self._most, self._lock = engine, most_bytes, threading.Lock()
        self._most_frames = most_frames
        self._recordings: OrderedDict[str, Recording] = OrderedDict()

    def get(self, recipe: Recipe) -> Recording | None:
        with self._lock:
            if recording := self._recordings.get(recipe.digest()):
                self._recordings.move_to_end(recipe.digest())
            return recording

    def most_frames(self, recipe: Recipe) -> int:
        """That are kept of its run, because they must be drawn when somebody looks."""
        quick = self._engine.of(recipe.model).facts.quick_previews
        return min(self._most_frames, MOST_FRAMES if quick else MOST_BY_VAE)

    def recorder(self, recipes: Sequence[Recipe]) -> "Recorder":
        """Takes the events of a run over these recipes that keeps latents."""
        return Recorder(self, recipes)

    def keep(self, recipe: Recipe, recording: Recording) -> None:
        with self._lock:
            self._recordings[recipe.digest()] = recording
            while sum(f.bytes for f in self._recordings.values()) > self._most and len(self._recordings) > 1:
                self._recordings.popitem(last=False)

    def record(
        self, recipes: Sequence[Recipe], pictures: Pictures | None = None, visitor: str = ""
    ) -> Iterator[tuple[int, int]]:
        """Run those that have no recording, `pictures` as in `Engine.run`; yields (network calls done, of all)."""
        missing = [r for r in recipes if self.get(r) is None and not self._engine.of(r.model).facts.whole]
        recorder, done = self.recorder(missing), 0
        total = sum(recipe.calls for recipe in missing)
        how: How = {"previews": False, "keep": Keep(latents=True), "pictures": pictures, "visitor": visitor}
        for event in self._engine.run(missing, **how):
            recorder.take(event)
            if isinstance(event, Step):
                done += 1
                yield done, total


class Recorder:
    """Collects one run's latents, and keeps a cell's recording when its last step has come."""

    def __init__(self, recordings: Recordings, recipes: Sequence[Recipe]) -> None:
        self._recordings, self._recipes = recordings, recipes
        self._steps: dict[int, list[tuple[Step, Tensor, Tensor]]] = {}  # by cell: what came, x_t and x̂₀ in fp16

    def take(self, event: Event) -> None:
        if not isinstance(event, Step) or event.kept is None:
            return
        steps, most = self._steps.setdefault(event.cell, []), self._recordings.most_frames(self._recipes[event.cell])
        calls = kept_calls(event.of, most)
        if event.k in calls:
            steps.append((event, event.kept.x_t.half(), event.kept.x0.half()))
        if event.k == event.of:
            if len(steps) == len(calls):  # not where this visitor joined somebody else's run half-way
                said, seen, x0 = zip(*steps, strict=True)
                recording = Recording(calls, event.of, [step.t for step in said], torch.cat(seen), torch.cat(x0))
                self._recordings.keep(self._recipes[event.cell], recording)
            del self._steps[event.cell]


def apart(recordings: Sequence[Recording]) -> pd.DataFrame:
    """How far the cells are apart along their runs: columns `share` (0 … 100 % of each cell's own run) and `distance`,
    the root mean square difference of two cells' x̂₀ per latent value, over all pairs. One row for each frame of the
    longest run, so that no value stands twice where all runs are of one length."""
    rows, points = [], max(len(recording.calls) for recording in recordings)
    for i in range(points):
        share = (i + 1) / points
        x0 = torch.stack([recording.x0[recording.at(share)].float().flatten() for recording in recordings])
        # the mean over pairs of |a − b|² is 2n/(n−1) times the mean squared distance to the mean
        spread = (x0 - x0.mean(0)).square().mean() * 2 * len(recordings) / (len(recordings) - 1)
        rows.append({"share": 100 * share, "distance": spread.sqrt().item()})
    return pd.DataFrame(rows)
