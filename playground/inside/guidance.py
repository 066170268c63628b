"""Guidance taken apart: ε̂ = ε_u + w (ε_c − ε_u), the numbers of one step.

Ho & Salimans 2022, https://arxiv.org/abs/2207.12598, in the notation of Stable Diffusion's guidance_scale w.
"""

from dataclasses import dataclass

import torch

from playground.inside.film import Frame


@dataclass(frozen=True)
class Value:
    """One of the 4·h·w values of a prediction, where ε_c and ε_u differ most. Indices count from 1."""

    channel: int
    row: int
    column: int
    cond: float
    uncond: float
    eps: float


@dataclass(frozen=True)
class Anatomy:
    """Norms are Euclidean, over all values of the latents."""

    norm_cond: float  # ‖ε_c‖
    norm_uncond: float  # ‖ε_u‖
    norm_difference: float  # ‖ε_c − ε_u‖
    norm_eps: float  # ‖ε̂‖
    cosine: float  # of the angle between ε_c and ε_u, −1 … 1
    largest: Value


@torch.inference_mode()
def anatomy(frame: Frame) -> Anatomy:
    """Measured on the frame's own tensors, in double precision."""
    cond, uncond, eps = (x[0].double() for x in (frame.eps_cond, frame.eps_uncond, frame.eps))  # (C, h, w)
    difference = cond - uncond
    norms = [float(x.norm()) for x in (cond, uncond, difference, eps)]
    cosine = float((cond * uncond).sum()) / max(norms[0] * norms[1], 1e-12)
    at = tuple(int(i) for i in torch.unravel_index(difference.abs().argmax(), difference.shape))
    largest = Value(*(i + 1 for i in at), float(cond[at]), float(uncond[at]), float(eps[at]))
    return Anatomy(*norms, cosine, largest)


def numbers(frame: Frame) -> dict[str, float | int | None]:
    """What is known of one step, as plain JSON; log_snr is None where it is infinite."""
    parts = anatomy(frame)
    return {
        "k": frame.k,
        "t": frame.t,
        "sigma": frame.sigma,
        "log_snr": frame.log_snr if frame.sigma else None,
        "step_sigma": frame.step_sigma,
        "norm_cond": parts.norm_cond,
        "norm_uncond": parts.norm_uncond,
        "norm_difference": parts.norm_difference,
        "norm_eps": parts.norm_eps,
        "cosine": parts.cosine,
    }
