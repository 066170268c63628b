"""A prediction about any grid: what may be asked of it, and what its pictures say to the answer and of seed noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from playground.export.finished import FinishedGrid
from playground.labels import Axis, inside
from playground.lessons.answers import SAME, Verdict, judge, trend
from playground.lessons.lesson import Ask
from playground.measure import fit
from playground.measure.clipped import clipped
from playground.measure.distance import distance
from playground.measure.diversity import apart
from playground.measure.named import written
from playground.measure.saturation import saturation
from playground.measure.seed_noise import ENOUGH, FEWEST, agreement
from playground.measure.sharpness import sharpness
from playground.models import Facts
from playground.refusal import Refusal
from playground.sweep import SIZE, WORDS_PREFIX, Sweep

MOST = {"pick": 16, "trend": 16, "order": 6, "curve": 10}  # cells of an answer that can still be given by hand
SETTLES = "settles"  # the question that is answered by a rule of its own
SURE = 0.95  # of the resamplings
VISIBLE = 0.5  # grey levels: less than this between all pictures is no change
QUESTIONS: Mapping[str, Ask] = {
    "fit": Ask("pick", "fit", "Which will fit the prompt best?", "what the prompt names, and how much of it is there."),
    "saturation": Ask("pick", "saturation", "Which will have the purest colours?", "how far colours are from grey."),
    "clipped": Ask(
        "pick", "clipped", "Which will have the most pixels out of range?", "areas that are fully black, white or pure."
    ),
    "structure": Ask(
        "pick", "sharpness", "Which will have the most fine structure?", "edges, grain and noise between neighbours."
    ),
    "rises": Ask(
        "trend", "saturation", "From the first to the last: the saturation?", "the first and the last picture only."
    ),
    SETTLES: Ask(
        "pick",
        "change_left",
        "From which one on will the picture stay about the same?",
        "the shapes first: they are decided before the details.",
    ),
    "varied": Ask(
        "pick",
        "diversity",
        "Which will differ most from seed to seed?",
        "the pictures of one setting beside each other: thing, pose and background.",
    ),
    "narrows": Ask(
        "trend",
        "diversity",
        "From the first to the last: the difference between seeds?",
        "the seeds of the first and of the last setting only.",
    ),
    "order": Ask("order", "saturation", "How will they be ordered by their saturation?", "two neighbours at a time."),
    "curve": Ask("curve", "fit", "Draw how well each will fit the prompt.", "where the fit is highest, and its ends."),
}
NAMES = {
    "fit": "Fits the prompt best",
    "saturation": "Has the purest colours",
    "clipped": "Has the most clipped pixels",
    "structure": "Has the most fine structure",
    "rises": "Whether saturation rises or falls",
    SETTLES: "Where the picture stops changing",
    "varied": "Differs most from seed to seed",
    "narrows": "Whether seeds differ more or less",
    "order": "The order by saturation",
    "curve": "The curve of the fit",
}
OF_ONE = {"saturation": saturation, "clipped": clipped, "sharpness": sharpness}


@dataclass(frozen=True)
class Measured:
    """One measure along one axis."""

    labels: Sequence[str]
    by_seed: np.ndarray  # (seeds, cells): means over whatever else varies; of pairs of seeds (seeds, seeds, cells)
    seed_varies: bool  # the axis is the seed itself

    @property
    def values(self) -> list[float]:
        found = self.of(np.arange(len(self.by_seed)))
        return [] if found is None else found.tolist()

    def of(self, rows: np.ndarray) -> np.ndarray | None:
        """(cells,) by these seeds, which may repeat; a pair needs two that are different, and without one this is
        None."""
        if self.by_seed.ndim == 2:
            return self.by_seed[rows].mean(0)
        one, other = np.nonzero(rows[:, None] != rows)
        return self.by_seed[rows[one], rows[other]].mean(0) if len(one) else None


def main_axis(axes: Sequence[Axis]) -> Axis:
    """What a grid is about: the last axis that is not the seed; the seed where there is no other."""
    return next((axis for axis in reversed(axes) if axis.key != "seed"), axes[-1])


def askable(sweep: Sweep, facts: Facts) -> list[str]:
    """The questions that make sense of this grid, with a model that can answer them."""
    axis = main_axis(FinishedGrid(sweep, ()).axes)
    fits = fit.brings(facts.folder) and axis.key not in ("prompt", "model")  # the fit is compared for one prompt
    fits = fits and "model" not in sweep.axes and not axis.key.startswith(WORDS_PREFIX)
    seeds = len(sweep.flat.axes.get("seed", ()))
    found = []
    for key, ask in QUESTIONS.items():
        in_order = axis.is_number and axis.key != "seed"
        if len(axis.values) > MOST[ask.kind] or (ask.measure == "fit" and not fits):
            continue
        if ask.measure == "diversity" and (seeds < 2 or axis.key == "seed"):
            continue
        if (key == SETTLES or ask.kind in ("trend", "curve")) and not in_order:
            continue
        if key == SETTLES and (axis.key == SIZE or len(axis.values) < 3):
            continue
        found.append(key)
    return found


def along_the_axis(grid: FinishedGrid, measure: str) -> Measured:
    """What was measured of a grid. Raises Refusal where a picture of it is missing."""
    if not all(grid.results):
        raise Refusal("Some pictures of this grid are missing, so your prediction is compared with nothing.")
    axis = main_axis(grid.axes)
    labels = [f"{inside(axis.name)} {label}" for label in axis.labels] if axis.is_number else axis.labels
    at = [other.key for other in grid.axes].index(axis.key)
    shape = [len(other.values) for other in grid.axes]
    if measure == "diversity":
        return Measured(labels, _between_seeds(grid, at, shape), False)
    values = np.moveaxis(_values(grid, measure, at, shape), at, -1)  # (…, cells)
    seeds = np.moveaxis(np.array([r.seed for r in grid.recipes]).reshape(shape), at, -1)
    if axis.key == "seed":
        return Measured(labels, values.reshape(-1, shape[at]).mean(0, keepdims=True), True)
    rows, own = values.reshape(-1, shape[at]), seeds.reshape(-1, shape[at])[:, 0]
    return Measured(labels, np.stack([rows[own == seed].mean(0) for seed in dict.fromkeys(own.tolist())]), False)


def verdict(key: str, answer: Any, found: Measured) -> Verdict:
    """A checked answer against what was measured."""
    if key == SETTLES:
        return _settled(answer, found)
    return judge(QUESTIONS[key], answer, found.labels, found.values)


def seed_noise(key: str, found: Measured) -> str:
    """One sentence: whether other seeds could have answered otherwise."""
    if found.seed_varies:
        return "The seed is what varies here, so this holds for these seeds only."
    seeds = len(found.by_seed)
    if seeds < FEWEST:
        drawn = "one seed" if seeds == 1 else f"{seeds} seeds"
        return (
            f"Measured with {drawn}: another seed may answer otherwise. With {FEWEST} seeds per cell or more it can be "
            "said how often."
        )

    def decide(rows: np.ndarray) -> Any:
        values = found.of(rows)
        return None if values is None else _answer(key, values)

    share = agreement(seeds, decide)
    told = f"In {100 * share:.0f}\u00a0% of resamplings of the {seeds} seeds the measured answer is the same"
    if share < SURE:
        return f"{told}: that is within seed noise, other seeds could answer otherwise."
    few = "" if seeds >= ENOUGH else f" With {seeds} seeds that is a hint; take {ENOUGH} or more to be sure."
    return f"{told}: the setting's doing, not the seed's.{few}"


def settled(to_last: Sequence[float]) -> int:
    """Mean differences to the last cell -> the first cell from which on all are at most a tenth of the largest."""
    at = len(to_last) - 1
    while at > 0 and to_last[at - 1] <= SAME * max(to_last):
        at -= 1
    return at


def _settled(answer: int, found: Measured) -> Verdict:
    labels, values = found.labels, found.values
    told = [f"{labels[i]} is {written('distance_to_last', value)} from the last" for i, value in enumerate(values)]
    if max(values) < VISIBLE:
        return Verdict(True, f"All pictures are the same here, {told[0]} in grey levels of 0 to 255; any answer fits.")
    at = settled(values)
    rule = f"the farthest is {written('distance_to_last', max(values))} grey levels away, of 255"
    if at == len(values) - 1:
        head = f"It was still changing before {labels[at]}: {told[at - 1]}, and {rule}"
    else:
        head = f"From {labels[at]} on at most a tenth of the change is left: {told[at]}, and {rule}"
    return Verdict(answer == at, f"{head}." if answer == at else f"{head}. You said {labels[answer]}: {told[answer]}.")


def _answer(key: str, values: np.ndarray) -> Any:
    """What these values say, in a shape that can be compared."""
    ask = QUESTIONS[key]
    if key == SETTLES:
        return settled(values.tolist())
    if ask.kind == "trend":
        return trend(values.tolist())
    return int(values.argmax()) if ask.kind == "pick" else tuple(values.argsort())


def _between_seeds(grid: FinishedGrid, at: int, shape: Sequence[int]) -> np.ndarray:
    """How far any two seeds are apart at each value of the axis `at`, mean over the others -> (seeds, seeds, cells)"""
    pixels = [np.asarray(result.image.convert("RGB")) for result in grid.results if result is not None]
    seed = [axis.key for axis in grid.axes].index("seed")
    places = np.moveaxis(np.arange(len(pixels)).reshape(shape), (seed, at), (-2, -1))  # (…, seeds, cells)
    settings = places.reshape(-1, shape[seed], shape[at])
    apart_at = [[apart([pixels[i] for i in column]) for column in setting.T] for setting in settings]
    return np.moveaxis(np.mean(apart_at, axis=0), 0, -1)


def _values(grid: FinishedGrid, measure: str, at: int, shape: Sequence[int]) -> np.ndarray:
    """The measure of every picture, in the grid's shape."""
    pictures = [result.image for result in grid.results if result is not None]
    if measure == "fit":
        towers = fit.judge(grid.facts_of(grid.sweep.base.model).folder) if grid.facts_of else None
        if towers is None:
            raise Refusal(fit.NOBODY)
        return np.array(towers.scores(pictures, [recipe.prompt for recipe in grid.recipes])).reshape(shape)
    pixels = [np.asarray(picture.convert("RGB")) for picture in pictures]
    if measure in OF_ONE:
        return np.array([OF_ONE[measure](picture) for picture in pixels]).reshape(shape)
    places = np.arange(len(pixels)).reshape(shape)
    lasts = np.broadcast_to(places.take([-1], axis=at), shape).ravel()
    if any(pixels[i].shape != pixels[last].shape for i, last in enumerate(lasts)):
        raise Refusal("Pictures of different sizes have no distance, so your prediction is compared with nothing.")
    return np.array([distance(pixels[i], pixels[last]) for i, last in enumerate(lasts)]).reshape(shape)
