"""Guidance taken apart: ε̂ = ε_u + w (ε_c − ε_u), the numbers of one step.

Ho & Salimans 2022, https://arxiv.org/abs/2207.12598, in the notation of Stable Diffusion's guidance_scale w.
"""

import math
from dataclasses import dataclass

import torch

from playground.inside.film import Shot


@dataclass(frozen=True)
class Value:
    """One of the C·h·w values of a prediction, where ε_c and ε_u differ most. Indices count from 1."""

    channel: int
    row: int
    column: int
    cond: float
    uncond: float
    eps: float


@dataclass(frozen=True)
class Parts:
    """Norms are Euclidean, over all values of the latents."""

    norm_cond: float  # ‖ε_c‖
    norm_uncond: float  # ‖ε_u‖
    norm_difference: float  # ‖ε_c − ε_u‖
    norm_eps: float  # ‖ε̂‖
    cosine: float  # of the angle between ε_c and ε_u, −1 … 1
    largest: Value


@torch.inference_mode()
def taken_apart(shot: Shot) -> Parts:
    """Measured on the shot's own tensors, in double precision."""
    kept = shot.kept
    cond, uncond, eps = (x[0].double() for x in (kept.eps_cond, kept.eps_uncond, kept.eps))  # (C, h, w)
    difference = cond - uncond
    norms = [float(x.norm()) for x in (cond, uncond, difference, eps)]
    cosine = float((cond * uncond).sum()) / max(norms[0] * norms[1], 1e-12)
    at = tuple(int(i) for i in torch.unravel_index(difference.abs().argmax(), difference.shape))
    largest = Value(*(i + 1 for i in at), float(cond[at]), float(uncond[at]), float(eps[at]))
    return Parts(*norms, cosine, largest)


def numbers(shot: Shot, parts: Parts) -> dict[str, float | int | None]:
    """What is known of one step, as plain JSON; None for what is infinite where no noise or no signal is left."""
    told = {
        "k": shot.k,
        "t": shot.level.t,
        "sigma": shot.level.sigma,
        "log_snr": shot.level.log_snr,
        "step_sigma": shot.step_sigma,
        "norm_cond": parts.norm_cond,
        "norm_uncond": parts.norm_uncond,
        "norm_difference": parts.norm_difference,
        "norm_eps": parts.norm_eps,
        "cosine": parts.cosine,
    }
    return {name: value if math.isfinite(value) else None for name, value in told.items()}
