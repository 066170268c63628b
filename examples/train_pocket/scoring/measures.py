"""Numbers about pictures: the background's name, saturation, clipping, and distances in the judge's features."""

import numpy as np
from PIL import Image

from ..scenes.colours import lab, nearest_colour

BORDER = 6  # pixels


def background_of(picture: Image.Image) -> str:
    """The named background nearest, in Lab, to the median colour of the picture's border."""
    pixels = np.asarray(picture.convert("RGB"))
    inner = np.ones(pixels.shape[:2], bool)
    inner[BORDER:-BORDER, BORDER:-BORDER] = False
    return nearest_colour(lab(np.median(pixels[inner], axis=0)))


def saturation(picture: Image.Image) -> float:
    """Mean saturation of HSV, (max − min) / max of the three channels, in [0, 1]; black counts as 0."""
    return float(np.asarray(picture.convert("RGB").convert("HSV"))[..., 1].mean() / 255)


def clipped(picture: Image.Image) -> float:
    """Share of the pixels with a channel at the end of its range, 0 or 255."""
    pixels = np.asarray(picture.convert("RGB"))
    return float(((pixels == 0) | (pixels == 255)).any(-1).mean())


def spread(features: np.ndarray) -> float:
    """Mean Euclidean distance over all pairs of rows: (N, D) -> one number, N at least 2"""
    distances = np.linalg.norm(features[:, None] - features[None], axis=-1)
    return float(distances[np.triu_indices(len(features), 1)].mean())


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two sets of features (N, D), (M, D), each taken as one Gaussian.

    ‖μ₁ − μ₂‖² + Tr(C₁ + C₂ − 2 (C₁C₂)^½), as in Heusel et al. 2017 (https://arxiv.org/abs/1706.08500), where the
    features were an Inception network's. The trace of the root is the sum of the singular values of C₁^½ C₂^½.
    """
    first, second = np.cov(a.astype(np.float64), rowvar=False), np.cov(b.astype(np.float64), rowvar=False)

    def root(c: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(c)
        return vectors * np.sqrt(values.clip(0)) @ vectors.T

    cross = np.linalg.svd(root(first) @ root(second), compute_uv=False).sum()
    means = a.mean(0, dtype=np.float64) - b.mean(0, dtype=np.float64)
    return float(means @ means + np.trace(first) + np.trace(second) - 2 * cross)
