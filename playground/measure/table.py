"""All measures of a grid as one table: a row for each picture, a column for each axis and each measure."""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import pandas as pd

from playground.engine import Result
from playground.export.finished import FinishedGrid
from playground.measure.clipped import clipped
from playground.measure.distance import distance
from playground.measure.diversity import diversity
from playground.measure.fit import judge
from playground.measure.saturation import saturation
from playground.measure.sharpness import sharpness
from playground.models import Facts

# keys of `named.MEASURES`, in the order of the columns
COLUMNS = ("fit", "saturation", "clipped", "sharpness", "diversity", "distance", "seconds", "evaluations")
OF_ONE = (saturation, clipped, sharpness)


def measured(grid: FinishedGrid) -> pd.DataFrame:
    """One row for each picture that is there, in the grid's order. Axis columns hold numbers, or labels where values
    are none; a measure that cannot be taken is left out, or empty where only some pictures lack it."""
    indices = [i for i, result in enumerate(grid.results) if result is not None]
    found: list[Result] = [result for result in grid.results if result is not None]
    places = list(product(*(a.values if a.is_number else a.labels for a in grid.axes)))
    table = pd.DataFrame([places[i] for i in indices], columns=[axis.name for axis in grid.axes])
    table["fit"] = _fits(found, grid.facts_of)
    pixels = [np.asarray(result.image.convert("RGB")) for result in found]
    for measure in OF_ONE:
        table[measure.__name__] = [measure(picture) for picture in pixels]
    table["diversity"] = list(_diversities(found, pixels))
    table["distance"] = list(_distances(found, pixels))
    here = [not result.elsewhere for result in found]  # of others nobody knows what they took, nor compares it
    table["seconds"] = [result.seconds if own else None for result, own in zip(found, here, strict=True)]
    table["evaluations"] = [result.evaluations if own else None for result, own in zip(found, here, strict=True)]
    return table.dropna(axis=1, how="all")


def _fits(results: list[Result], facts_of: Callable[[str], Facts] | None) -> list[float | None]:
    """Each by the towers of the model that drew it; None where it brings none."""
    fits: list[float | None] = [None] * len(results)
    for model in dict.fromkeys(result.recipe.model for result in results) if facts_of else ():
        if (towers := judge(facts_of(model).folder)) is not None:
            places = [i for i, result in enumerate(results) if result.recipe.model == model]
            pictures, prompts = zip(*((results[i].image, results[i].recipe.prompt) for i in places), strict=True)
            for i, score in zip(places, towers.scores(list(pictures), list(prompts)), strict=True):
                fits[i] = score
    return fits


def _diversities(results: list[Result], pixels: list[np.ndarray]) -> Iterator[float | None]:
    """Of each picture's setting, all fields but the seed; None where it has one seed only."""
    settings = [result.recipe.replace(seed=0) for result in results]
    alike: dict[object, list[np.ndarray]] = {}
    for setting, picture in zip(settings, pixels, strict=True):
        alike.setdefault(setting, []).append(picture)
    found = {setting: diversity(group) if len(group) > 1 else None for setting, group in alike.items()}
    return (found[setting] for setting in settings)


def _distances(results: list[Result], pixels: list[np.ndarray]) -> Iterator[float | None]:
    """To the first picture of the same seed; where every seed stands alone, to the first picture. None where the sizes
    differ."""
    first: dict[int, np.ndarray] = {}
    for result, picture in zip(results, pixels, strict=True):
        first.setdefault(result.recipe.seed, picture)
    alone = len(first) == len(results)
    for result, picture in zip(results, pixels, strict=True):
        other = pixels[0] if alone else first[result.recipe.seed]
        yield distance(other, picture) if other.shape == picture.shape else None
