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

from playground.engine import Decode, Engine, Event, Keep, Step
from playground.engine.contract import How, Pictures
from playground.recipe import Recipe

MOST_FRAMES = 40  # of one cell; longer runs keep every n-th call, and always the last
MOST_BY_VAE = 10  # of one cell of a model whose VAE must draw them, for want of a quick decoder
MOST_BYTES = 128 * 2**20  # of all films kept in memory; the least recently used go first
SHARES = 41  # points of the distance curve
LONGEST_SIDE = 128  # pixels of a frame
FRAMES_PER_DECODE = 16  # of the quick decoder; a VAE draws one at a time


def kept_calls(of: int, most: int = MOST_FRAMES) -> list[int]:
    """The calls (1 … of) whose frames are kept, evenly spread, the last one always."""
    n = min(of, most)
    return sorted({math.ceil((i + 1) * of / n) for i in range(n)})


@dataclass(frozen=True, eq=False)
class CellFilm:
    """One cell's run, thinned to `kept_calls`."""

    calls: list[int]
    of: int
    timesteps: list[float]  # that the network was told at these calls
    seen: Tensor  # (F, C, h, w) fp16: x_t on the variance-preserving scale
    x0: Tensor  # (F, C, h, w) fp16: x̂₀

    @property
    def bytes(self) -> int:
        return 2 * self.x0.numel() * self.x0.element_size()

    def thinned(self, most: int) -> "CellFilm":
        """At most so many of its frames, evenly spread, the last one always."""
        rows = [i - 1 for i in kept_calls(len(self.calls), most)]
        calls, timesteps = [self.calls[i] for i in rows], [self.timesteps[i] for i in rows]
        return CellFilm(calls, self.of, timesteps, self.seen[rows], self.x0[rows])

    def at(self, share: float) -> int:
        """0 … 1 of the run -> the frame nearest to it"""
        return min(range(len(self.calls)), key=lambda i: abs(self.calls[i] / self.of - share))


class Films:
    """Finished films in memory by recipe; a film that is gone is recorded again when somebody asks for it."""

    def __init__(self, engine: Engine, most_bytes: int = MOST_BYTES, most_frames: int = MOST_FRAMES) -> None:
        """`most_frames` of each run, where fewer will be looked at than could be."""
        self._engine, self._most, self._lock = engine, most_bytes, threading.Lock()
        self._most_frames = most_frames
        self._films: OrderedDict[str, CellFilm] = OrderedDict()

    def get(self, recipe: Recipe) -> CellFilm | None:
        with self._lock:
            if film := self._films.get(recipe.digest()):
                self._films.move_to_end(recipe.digest())
            return film

    def most_frames(self, recipe: Recipe) -> int:
        """That are kept of its run, because they must be drawn when somebody looks."""
        quick = self._engine.of(recipe.model).facts.quick_previews
        return min(self._most_frames, MOST_FRAMES if quick else MOST_BY_VAE)

    def recorder(self, recipes: Sequence[Recipe]) -> "Recorder":
        """Takes the events of a run over these recipes that keeps latents."""
        return Recorder(self, recipes)

    def keep(self, recipe: Recipe, film: CellFilm) -> None:
        with self._lock:
            self._films[recipe.digest()] = film
            while sum(f.bytes for f in self._films.values()) > self._most and len(self._films) > 1:
                self._films.popitem(last=False)

    def record(
        self, recipes: Sequence[Recipe], pictures: Pictures | None = None, visitor: str = ""
    ) -> Iterator[tuple[int, int]]:
        """Run those that have no film, `pictures` as in `Engine.run`; yields (network calls done, of all)."""
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
    """Collects one run's latents, and keeps a cell's film when its last step has come."""

    def __init__(self, films: Films, recipes: Sequence[Recipe]) -> None:
        self._films, self._recipes = films, recipes
        self._steps: dict[int, list[tuple[Step, Tensor, Tensor]]] = {}  # by cell: what came, x_t and x̂₀ in fp16

    def take(self, event: Event) -> None:
        if not isinstance(event, Step) or event.kept is None:
            return
        steps, most = self._steps.setdefault(event.cell, []), self._films.most_frames(self._recipes[event.cell])
        calls = kept_calls(event.of, most)
        if event.k in calls:
            steps.append((event, event.kept.x_t.half(), event.kept.x0.half()))
        if event.k == event.of:
            if len(steps) == len(calls):  # not where this visitor joined somebody else's run half-way
                said, seen, x0 = zip(*steps, strict=True)
                film = CellFilm(calls, event.of, [step.t for step in said], torch.cat(seen), torch.cat(x0))
                self._films.keep(self._recipes[event.cell], film)
            del self._steps[event.cell]


def strips(engine: Engine, several: Sequence[Tensor], visitor: str = "") -> Iterator[tuple[int, Image.Image]]:
    """Each (F, C, h, w) -> its place among them, and F quick pictures side by side, at most 128 pixels high; as they
    come."""
    size = FRAMES_PER_DECODE if engine.facts.quick_previews else 1
    parts = [(i, part.float()) for i, latents in enumerate(several) for part in latents.split(size)]
    drawn: list[dict[int, list[Image.Image]]] = [{} for _ in several]  # by part
    for answer in engine.ask([Decode(part, quick=True) for _, part in parts], visitor):
        i = parts[answer.cell][0]
        drawn[i][answer.cell] = answer.value
        frames = [frame for part in sorted(drawn[i]) for frame in drawn[i][part]]
        if len(frames) == len(several[i]):
            yield i, _side_by_side(frames)


def _side_by_side(frames: list[Image.Image]) -> Image.Image:
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
