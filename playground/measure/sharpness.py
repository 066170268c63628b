"""How much fine structure a picture has; noise counts as structure too."""

import numpy as np
from numpy.typing import ArrayLike


def sharpness(picture: ArrayLike) -> float:
    """(H, W, 3) uint8 -> standard deviation of the Laplacian of the lightness, in grey levels; 0 for a flat picture.

    Pech-Pacheco et al. 2000, Diatom autofocusing in brightfield microscopy, as its root.
    """
    grey = np.asarray(picture).astype(np.float32).mean(-1)
    middle = grey[1:-1, 1:-1]
    return float((grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * middle).std())
