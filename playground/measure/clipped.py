"""How much of a picture has run out of range."""

import numpy as np
from numpy.typing import ArrayLike


def clipped(picture: ArrayLike) -> float:
    """(H, W, 3) uint8 -> share of pixels, 0 … 1, with at least one channel at 0 or 255, where detail is lost."""
    values = np.asarray(picture)
    return float(((values == 0) | (values == 255)).any(-1).mean())
