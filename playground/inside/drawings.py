"""Tensors as small pictures, one pixel per value."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor


@torch.inference_mode()
def heat_map(embeddings: Tensor) -> tuple[Image.Image, float]:
    """(tokens, width) -> a picture with one pixel per value, and the |value| that has the full colour.

    Blue is negative, white 0, red positive. The full colour is the 99th percentile of |value|, because a few values
    of a CLIP encoding are far larger than the rest; the ones beyond it are drawn in the full colour too.
    """
    limit = max(float(embeddings.abs().flatten().quantile(0.99)), 1e-12)
    strength = (embeddings / limit).clamp(-1, 1)[..., None]
    white, blue, red = (torch.tensor(c, dtype=torch.float32) for c in ((250, 250, 248), (29, 78, 216), (200, 48, 20)))
    colours = white + strength.abs() * (torch.where(strength < 0, blue, red) - white)
    return Image.fromarray(colours.round().byte().numpy()), limit


@torch.inference_mode()
def channel_pictures(latents: Tensor) -> tuple[list[Image.Image], float]:
    """(C, h, w) -> C grey pictures of w × h pixels, and the |value| drawn black (negative) and white (positive)."""
    limit = max(float(latents.abs().max()), 1e-12)
    grey = ((latents.float() / limit + 1) * 127.5).round().byte().numpy()
    return [Image.fromarray(np.ascontiguousarray(channel)) for channel in grey], limit


@torch.inference_mode()
def spread(latents: Tensor) -> list[tuple[float, float]]:
    """(C, h, w) -> mean and standard deviation of each channel"""
    return [(float(channel.mean()), float(channel.std())) for channel in latents]
