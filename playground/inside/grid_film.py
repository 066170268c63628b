"""All cells of a grid at one point of their runs: what each network call saw, and the x̂₀ that followed."""

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from playground.engine import Engine, Step
from playground.inside.on_device import on_device
from playground.recipe import Recipe
from playground.samplers import SAMPLERS

MOST_FRAMES = 40  # of one cell; longer runs keep every n-th call, and always the last
MOST_BYTES = 128 * 2**20  # of all films kept in memory; the least recently used go first
SHARES = 41  # points of the distance curve
LONGEST_SIDE = 128  # pixels of a frame


def kept_calls(of: int) -> list[int]:
    """The calls (1 … of) whose frames are kept, evenly spread, the last one always."""
    n = min(of, MOST_FRAMES)
    return sorted({math.ceil((i + 1) * of / n) for i in range(n)})


@dataclass(frozen=True, eq=False)
class CellFilm:
    """One cell's run, thinned to `kept_calls`."""

    calls: list[int]
    of: int
    timesteps: list[float]  # that the network was told at these calls
    seen: Tensor  # (F, 4, h, w) fp16: x_t on the variance-preserving scale
    x0: Tensor  # (F, 4, h, w) fp16: x̂₀

    @property
    def bytes(self) -> int:
        return 2 * self.x0.numel() * self.x0.element_size()

    def at(self, share: float) -> int:
        """0 … 1 of the run -> the frame nearest to it"""
        return min(range(len(self.calls)), key=lambda i: abs(self.calls[i] / self.of - share))


class Films:
    """Finished films in memory by recipe; a film that is gone is recorded again when somebody asks for it."""

    def __init__(self, engine: Engine, most_bytes: int = MOST_BYTES) -> None:
        self._engine, self._most, self._lock = engine, most_bytes, threading.Lock()
        self._films: OrderedDict[str, CellFilm] = OrderedDict()

    def get(self, recipe: Recipe) -> CellFilm | None:
        with self._lock:
            if film := self._films.get(recipe.digest()):
                self._films.move_to_end(recipe.digest())
            return film

    def recorder(self, recipes: Sequence[Recipe]) -> "Recorder":
        """Takes the Step events of a run over these recipes."""
        return Recorder(self, recipes)

    def keep(self, recipe: Recipe, steps: dict[int, Tensor], of: int) -> None:
        """`steps`: call -> (2, 4, h, w)."""
        calls = sorted(steps)
        both = torch.stack([steps[call] for call in calls])
        times = _timesteps(recipe, self._engine)
        film = CellFilm(calls, of, [times[call - 1] for call in calls], both[:, 0], both[:, 1])
        with self._lock:
            self._films[recipe.digest()] = film
            while sum(f.bytes for f in self._films.values()) > self._most and len(self._films) > 1:
                self._films.popitem(last=False)

    def record(self, recipes: Sequence[Recipe]) -> Iterator[tuple[int, int]]:
        """Run those that have no film; yields (network calls done, of all)."""
        missing = [recipe for recipe in recipes if self.get(recipe) is None]
        recorder, done = self.recorder(missing), 0
        total = sum(SAMPLERS[recipe.sampler].calls(recipe.num_inference_steps) for recipe in missing)
        for event in self._engine.run(missing, previews=False, latents=True):
            recorder.take(event)
            if isinstance(event, Step):
                done += 1
                yield done, total


class Recorder:
    """Collects one run's latents, and keeps a cell's film when its last step has come."""

    def __init__(self, films: Films, recipes: Sequence[Recipe]) -> None:
        self._films, self._recipes = films, recipes
        self._steps: dict[int, dict[int, Tensor]] = {}

    def take(self, event: object) -> None:
        if not isinstance(event, Step) or event.latents is None:
            return
        steps = self._steps.setdefault(event.cell, {})
        if event.k in kept_calls(event.of):
            steps[event.k] = event.latents
        if event.k == event.of:
            if len(steps) == len(kept_calls(event.of)):  # not where this visitor joined somebody else's run half-way
                self._films.keep(self._recipes[event.cell], steps, event.of)
            del self._steps[event.cell]


@on_device()
def strips(engine: Engine, several: Sequence[Tensor]) -> list[Image.Image]:
    """each (F, 4, h, w) -> a `strip` of each"""
    return [strip(engine, latents) for latents in several]


@on_device()
def strip(engine: Engine, latents: Tensor) -> Image.Image:
    """(F, 4, h, w) -> F quick pictures side by side, at most 128 pixels high"""
    frames: list[Image.Image] = []
    for part in latents.split(16):
        with engine.between_ticks() as model:
            frames += model.preview(part.float().to(model.device))
    scale = min(1.0, LONGEST_SIDE / max(frames[0].size))
    size = tuple(max(1, round(side * scale)) for side in frames[0].size)
    whole = Image.new("RGB", (size[0] * len(frames), size[1]))
    for i, frame in enumerate(frames):
        whole.paste(frame.resize(size) if frame.size != size else frame, (i * size[0], 0))
    return whole


def apart(films: Sequence[CellFilm]) -> pd.DataFrame:
    """How far the cells are apart along their runs: columns `share` (0 … 100 % of each cell's own run) and `distance`,
    the root mean square difference of two cells' x̂₀ per latent value, over all pairs."""
    rows = []
    for i in range(SHARES):
        share = (i + 1) / SHARES
        x0 = torch.stack([film.x0[film.at(share)].float().flatten() for film in films])
        # the mean over pairs of |a − b|² is 2n/(n−1) times the mean squared distance to the mean
        spread = (x0 - x0.mean(0)).square().mean() * 2 * len(films) / (len(films) - 1)
        rows.append({"share": 100 * share, "distance": spread.sqrt().item()})
    return pd.DataFrame(rows)


def _timesteps(recipe: Recipe, engine: Engine) -> list[float]:
    scheduler = SAMPLERS[recipe.sampler].make(engine.model.scheduler_config)
    scheduler.set_timesteps(recipe.num_inference_steps)
    return [float(t) for t in scheduler.timesteps]
