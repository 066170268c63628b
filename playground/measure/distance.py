"""How far two pictures are apart, pixel by pixel."""

import numpy as np
from numpy.typing import ArrayLike


def distance(one: ArrayLike, other: ArrayLike) -> float:
    """Two (H, W, 3) uint8 of one size -> mean absolute difference in grey levels, 0 … 255."""
    a, b = np.asarray(one).astype(np.float32), np.asarray(other).astype(np.float32)
    return float(np.abs(a - b).mean())
