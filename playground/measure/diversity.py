"""How different the pictures of one prompt are."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def diversity(pictures: Sequence[ArrayLike]) -> float:
    """n ≥ 2 pictures (H, W, 3) uint8 of one size -> mean root mean square difference over all pairs, each picture
    first brought to mean 0 and spread 1 over its values, so that more contrast does not count as more difference.

    0 for equal pictures, √2 for unrelated ones. A thing that only moved counts as different.
    """
    pairs = apart(pictures)
    return float(pairs.sum() / (len(pairs) * (len(pairs) - 1)))


def apart(pictures: Sequence[ArrayLike]) -> np.ndarray:
    """The same of each pair: n pictures (H, W, 3) uint8 of one size -> (n, n), with zeros on the diagonal."""
    alike = [_standard(np.asarray(picture).astype(np.float32)) for picture in pictures]
    found = np.zeros((len(alike), len(alike)))
    for (i, a), (j, b) in itertools.combinations(enumerate(alike), 2):
        found[i, j] = found[j, i] = np.sqrt(np.square(a - b).mean())
    return found


def _standard(values: np.ndarray) -> np.ndarray:
    """A flat picture stays flat."""
    centred = values - values.mean((0, 1))
    return centred / max(float(centred.std()), 1.0)
