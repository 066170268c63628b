"""How far pictures are apart, pixel by pixel."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from PIL import Image


def distance(one: Image.Image, other: Image.Image) -> float | None:
    """The root mean square difference of two RGB pictures, 0 … 1; None where their sizes differ."""
    if one.size != other.size:
        return None
    a, b = (np.asarray(picture.convert("RGB"), dtype=np.float64) / 255 for picture in (one, other))
    return float(np.sqrt(((a - b) ** 2).mean()))


def diversity(pictures: Sequence[Image.Image]) -> float | None:
    """The mean distance over all pairs; None where there is no pair of one size."""
    found = [d for pair in combinations(pictures, 2) if (d := distance(*pair)) is not None]
    return float(np.mean(found)) if found else None
