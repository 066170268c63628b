"""The edges of a photo, as ControlNets for edges are shown them: white lines on black.

Canny 1986, A Computational Approach to Edge Detection, https://doi.org/10.1109/TPAMI.1986.4767851: smooth, take the
gradient, keep its ridges, and of those the strong ones and what hangs together with them.
"""

import math

import numpy as np
from PIL import Image
from scipy import ndimage

from playground.refusal import Refusal

LOW, HIGH = 40.0, 100.0  # of the gradient by Sobel's filter, in grey levels: 0 … about 1,140
SMOOTHING = 1.0  # pixels, the standard deviation of the Gaussian
CONNECTED = np.ones((3, 3))  # also over corners


def edges(picture: Image.Image, low: float = LOW, high: float = HIGH, smoothing: float = SMOOTHING) -> Image.Image:
    """RGB picture -> RGB picture of the same size, white where an edge is and black elsewhere.

    An edge is a ridge of the gradient that is above `low` all along and above `high` somewhere. Raises Refusal where
    the thresholds are no numbers with 0 ≤ low ≤ high.
    """
    if not (math.isfinite(low) and math.isfinite(high) and 0 <= low <= high):
        raise Refusal("The thresholds of the edges must be numbers, the lower one from 0 to the higher one.")
    grey = np.asarray(picture.convert("L"), dtype=np.float32)
    smooth = ndimage.gaussian_filter(grey, smoothing, mode="nearest")
    across, down = (ndimage.sobel(smooth, axis, mode="nearest") for axis in (1, 0))
    gradient = np.hypot(across, down)
    ridge = gradient * _is_ridge(gradient, across, down)
    parts, count = ndimage.label(ridge > low, CONNECTED)
    strong = np.zeros(count + 1, bool)
    strong[parts[ridge > high]] = True
    strong[0] = False
    return Image.fromarray((strong[parts] * 255).astype(np.uint8), "L").convert("RGB")


def _is_ridge(gradient: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Where (H, W) gradients are at least those of both neighbours in their own direction, to the nearest 45°; of two
    equal ones side by side the later one, so that lines are one pixel wide."""
    sector = np.round(np.arctan2(down, across) / (np.pi / 4)).astype(int) % 4
    padded = np.pad(gradient, 1)
    height, width = gradient.shape
    found = np.zeros(gradient.shape, bool)
    for k, (y, x) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        after = padded[1 + y : 1 + y + height, 1 + x : 1 + x + width]
        before = padded[1 - y : 1 - y + height, 1 - x : 1 - x + width]
        found |= (sector == k) & (gradient > after) & (gradient >= before)
    return found
