"""Distortions of real renders for the judge to learn from: soft, pale, noisy, a little bent, as generated ones are."""

import random

import torch
import torch.nn.functional as F
from torch import Tensor


def augmented(batch: Tensor) -> Tensor:
    """Blur, noise, contrast and tint, so that soft or pale pictures are judged by what they show."""

    def each(channels: int = 1) -> Tensor:
        """A random number for every picture, uniform in [0, 1]."""
        return torch.rand(len(batch), channels, 1, 1, device=batch.device)

    blurred = F.interpolate(F.avg_pool2d(batch, random.choice((2, 3, 4))), size=batch.shape[2:], mode="bilinear")
    batch = batch.lerp(blurred, each())
    mean, contrast, tint = batch.mean((2, 3), keepdim=True), 0.65 + 0.7 * each(), 0.25 * (each(3) - 0.5)
    noise = torch.rand_like(batch[:1]) - 0.5  # one for all pictures, at its own strength in each: drawing it is slow
    return batch.mul_(contrast).add_(mean * (1 - contrast) + tint).addcmul_(noise, 0.35 * each()).clamp_(-1, 1)


def jittered(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes a little beside the truth, and a small turn and stretch of each: (B, 3) -> (B, 3), (B, 2, 2)"""
    n, side = len(boxes), boxes[:, 2:]
    chance = torch.randn(n, 5, device=boxes.device)
    moved = torch.cat([boxes[:, :2] + 0.04 * side * chance[:, :2], side * (0.1 * chance[:, 2:3]).exp()], 1)
    angle, stretch = 0.1 * chance[:, 3], (0.06 * chance[:, 4]).exp()
    cos, sin = angle.cos(), angle.sin()
    return moved, torch.stack([cos * stretch, -sin, sin, cos / stretch], 1).view(n, 2, 2)
