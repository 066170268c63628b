"""How strong the colours of a picture are."""

import numpy as np
from numpy.typing import ArrayLike


def saturation(picture: ArrayLike) -> float:
    """(H, W, 3) uint8 -> mean of HSV's saturation (max − min) / max, 0 (grey) … 1 (pure colours)."""
    values = np.asarray(picture).astype(np.float32)
    high, low = values.max(-1), values.min(-1)
    return float(((high - low) / np.maximum(high, 1)).mean())
