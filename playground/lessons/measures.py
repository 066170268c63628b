"""What is measured of the pictures of a lesson's cells."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from playground.measure.areas import areas
from playground.measure.clipped import clipped
from playground.measure.distance import distance
from playground.measure.diversity import diversity
from playground.measure.saturation import saturation
from playground.measure.sharpness import sharpness

OF_PICTURES = ("clipped", "saturation", "sharpness", "distance", "distance_to_last", "apart", "areas")
OF_SEEDS = ("diversity",)


def measured(cells: Sequence[Sequence[Image.Image]]) -> dict[str, tuple[float, ...]]:
    """Cells of one picture, or of one for each seed in the same order -> OF_PICTURES as means over the seeds, and with
    seeds OF_SEEDS. All pictures have one size."""
    arrays = [[np.asarray(picture.convert("RGB")) for picture in cell] for cell in cells]

    def between(a: int, b: int) -> float:
        return float(np.mean([distance(x, y) for x, y in zip(arrays[a], arrays[b], strict=True)]))

    n = range(len(arrays))
    own = {"clipped": clipped, "saturation": saturation, "sharpness": sharpness, "areas": areas}
    found = {name: tuple(float(np.mean([f(x) for x in cell])) for cell in arrays) for name, f in own.items()}
    found["distance"] = tuple(between(0, i) for i in n)
    found["distance_to_last"] = tuple(between(len(arrays) - 1, i) for i in n)
    if len(arrays) > 1:
        found["apart"] = tuple(float(np.mean([between(i, j) for j in n if j != i])) for i in n)
    if len(arrays[0]) > 1:
        found["diversity"] = tuple(diversity(cell) for cell in arrays)
    return found
