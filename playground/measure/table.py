"""All measures of a grid as one table: a row for each picture, a column for each axis and each measure."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import pandas as pd

from playground.engine import Result
from playground.export.finished import FinishedGrid
from playground.measure.adherence import Adherence
from playground.measure.apart import distance, diversity
from playground.measure.look import clipped, saturation, sharpness
from playground.models import REGISTERED


@dataclass(frozen=True)
class Measure:
    """One column: its key, what it is called, and one sentence that says what it is and what it is not."""

    key: str
    name: str
    says: str


MEASURES = (
    Measure(
        "fit",
        "Fit to the prompt",
        "Cosine of picture and prompt in this model's own CLIP towers, −1 to 1: a small model's opinion, to be "
        "compared for one prompt only, and no judgement of beauty.",
    ),
    Measure(
        "saturation",
        "Saturation",
        "Mean of largest minus smallest channel, 0 to 1: how strong the colours are, not whether they are too strong.",
    ),
    Measure(
        "clipped",
        "Clipped values",
        "Share of channel values at 0 or 255: a pure colour that was asked for counts as well.",
    ),
    Measure(
        "sharpness",
        "Sharpness",
        "Standard deviation of the Laplacian of the luma: edges and fine detail, and noise counts as detail.",
    ),
    Measure(
        "diversity",
        "Diversity over seeds",
        "Mean distance of the pictures of one setting with different seeds, 0 to 1, pixel by pixel: a shifted picture "
        "counts as another one.",
    ),
    Measure(
        "distance",
        "Distance to the anchor",
        "Root mean square difference to the first picture with the same seed, 0 to 1, pixel by pixel: how much "
        "changed, not whether it became better.",
    ),
    Measure("seconds", "Seconds", "This picture's share of the batched work when it was drawn, on this machine."),
    Measure(
        "evaluations",
        "Evaluations",
        "Passes of the network that the picture needs alone: comparable between machines.",
    ),
)


@lru_cache(1)
def towers(model: str) -> Adherence | None:
    """The contrastive towers that a registered model brings; None for one that brings none."""
    return Adherence.load(REGISTERED[model]) if model in REGISTERED else None


def measured(grid: FinishedGrid) -> pd.DataFrame:
    """One row for each picture that is there, in the grid's order. Axis columns hold numbers, or labels where values
    are none; a measure that cannot be taken is left out, or empty where only some pictures lack it."""
    indices = [i for i, result in enumerate(grid.results) if result is not None]
    found: list[Result] = [result for result in grid.results if result is not None]
    places = list(product(*(a.values if a.is_number else a.labels for a in grid.axes)))
    table = pd.DataFrame([places[i] for i in indices], columns=[axis.name for axis in grid.axes])
    table["fit"] = _fits(found)
    for measure in (saturation, clipped, sharpness):
        table[measure.__name__] = [measure(result.image) for result in found]
    table["diversity"] = list(_diversities(found))
    table["distance"] = list(_distances(found))
    table["seconds"] = [result.seconds for result in found]
    table["evaluations"] = [result.evaluations for result in found]
    return table.dropna(axis=1, how="all")


def _fits(results: list[Result]) -> list[float | None]:
    """Each by the towers of the model that drew it; None where it brings none."""
    fits: list[float | None] = [None] * len(results)
    for model in dict.fromkeys(result.recipe.model for result in results):
        if (judge := towers(model)) is not None:
            places = [i for i, result in enumerate(results) if result.recipe.model == model]
            pictures, prompts = zip(*((results[i].image, results[i].recipe.prompt) for i in places), strict=True)
            for i, score in zip(places, judge.scores(list(pictures), list(prompts)), strict=True):
                fits[i] = score
    return fits


def _diversities(results: list[Result]) -> Iterator[float | None]:
    """Of each picture's setting, all fields but the seed."""
    settings = [result.recipe.replace(seed=0) for result in results]
    alike: dict[object, list[Result]] = {}
    for setting, result in zip(settings, results, strict=True):
        alike.setdefault(setting, []).append(result)
    found = {setting: diversity([r.image for r in group]) for setting, group in alike.items()}
    return (found[setting] for setting in settings)


def _distances(results: list[Result]) -> Iterator[float | None]:
    """To the first picture of the same seed; where every seed stands alone, to the first picture."""
    first: dict[int, Result] = {}
    for result in results:
        first.setdefault(result.recipe.seed, result)
    alone = len(first) == len(results)
    return (distance((results[0] if alone else first[r.recipe.seed]).image, r.image) for r in results)
