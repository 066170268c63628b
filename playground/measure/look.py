"""What can be counted in one picture, without any model. All take an RGB picture."""

import numpy as np
from PIL import Image

LUMA = (0.2126, 0.7152, 0.0722)  # of linear light in BT.709; here of the levels, which is what an eye is shown


def _levels(picture: Image.Image) -> np.ndarray:
    """(H, W, 3) in 0 … 1"""
    return np.asarray(picture.convert("RGB"), dtype=np.float64) / 255


def saturation(picture: Image.Image) -> float:
    """The mean over pixels of largest minus smallest channel, 0 (grey) … 1 (pure colours)."""
    levels = _levels(picture)
    return float((levels.max(axis=2) - levels.min(axis=2)).mean())


def clipped(picture: Image.Image) -> float:
    """The share of channel values that stand at their limit, 0 or 255; 0 … 1."""
    levels = _levels(picture)
    return float(((levels == 0) | (levels == 1)).mean())


def sharpness(picture: Image.Image) -> float:
    """The standard deviation of the Laplacian of the luma (Pech-Pacheco et al. 2000, doi:10.1109/ICPR.2000.903548, who
    take the variance); 0 for a plain picture, in units of full contrast."""
    luma = _levels(picture) @ np.array(LUMA)
    middle = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * middle
    return float(laplacian.std())
