"""How many separate things stand on a plain background, whatever they are."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

UNLIKE = 51  # grey levels from the border's median in some channel, a fifth of the range
SMALLEST = 0.006  # share of the picture; smaller spots are no thing


def areas(picture: ArrayLike) -> int:
    """(H, W, 3) uint8 -> connected areas that differ from the border. Things that touch count as one."""
    values = np.asarray(picture).astype(np.float32)
    border = np.concatenate([values[:4].reshape(-1, 3), values[-4:].reshape(-1, 3)])
    labelled, found = ndimage.label(np.abs(values - np.median(border, 0)).max(-1) > UNLIKE)
    sizes = np.bincount(labelled.ravel(), minlength=found + 1)[1:]
    return int((sizes >= SMALLEST * labelled.size).sum())
