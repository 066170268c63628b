"""What a network's answer means, by what it was taught to answer: the clean picture and the noise in what it saw.

It saw x_t = signal · x₀ + noise · ε, as `schedule` says of every level; no schedule is needed here.
"""

from typing import Any

import torch
from torch import Tensor

from playground.refusal import Refusal

FLOW = "flow_prediction"  # as diffusers' solvers name it: the network answers with the velocity ε − x₀


def x0_of(x_t: Tensor, answer: Tensor, signal: Any, noise: Any, kind: str) -> Tensor:
    """What the network saw and what it answered -> the x̂₀ that it means. Raises Refusal for an unknown kind.

    signal and noise are those of a Level, as numbers or shaped to broadcast.
    """
    if kind == "epsilon":  # Ho et al. 2020, equation 15, https://arxiv.org/abs/2006.11239
        return x_t / signal - noise / signal * answer
    if kind == "v_prediction":  # Salimans & Ho 2022, https://arxiv.org/abs/2202.00512
        return signal * x_t - noise * answer
    if kind == FLOW:  # v = ε − x₀ and x_t = (1−σ) x₀ + σ ε, so x₀ = x_t − σ v
        return x_t - noise * answer
    if kind == "sample":
        return answer
    raise Refusal(f"The model predicts {kind!r}, which is not known here.")


def noise_of(x_t: Tensor, answer: Tensor, signal: Any, noise: Any, kind: str) -> Tensor:
    """The same -> the ε_θ that it means."""
    if kind == "epsilon":
        return answer
    if kind == "v_prediction":
        return signal * answer + noise * x_t
    if kind == FLOW:
        return x_t + signal * answer
    if kind == "sample":
        return (x_t - signal * answer) / noise
    raise Refusal(f"The model predicts {kind!r}, which is not known here.")


def check_finite(latents: Tensor) -> None:
    """Raises Refusal where there is no picture left. Reads the latents, so it waits for the device."""
    if not torch.isfinite(latents).all():
        raise Refusal("The latents became infinite, so there is no picture; try a lower guidance scale.")
