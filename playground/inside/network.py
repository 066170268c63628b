"""One call of the U-Net for the views, the noise that its answer stands for, and the clock they measure with."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from playground.engine.pace import synchronize
from playground.models import LatentModel


def ask(
    model: LatentModel,
    x_t: Tensor,
    t: Tensor | float | Sequence[float],
    texts: Sequence[str],
    loras: Sequence[tuple[str, float]] = (),
) -> Tensor:
    """x_t (1 or B, C, h, w), one timestep or B, B texts -> the network's outputs (B, C, h, w), in one call.

    `loras`, pairs of name and weight, are those of every row.
    Only for whoever holds the model (`Engine.between_ticks`).
    """
    rows = len(texts)
    times = torch.as_tensor(t, dtype=torch.float32, device=model.device).expand(rows)
    text = torch.cat([model.encode(text) for text in texts])
    return model.predict(x_t.to(model.device).expand(rows, -1, -1, -1), times, text, [loras] * rows)


def as_noise(
    x_t: Tensor, output: Tensor, signal: Tensor | float, noise: Tensor | float, prediction_type: str
) -> Tensor:
    """The network's output -> ε_θ, also for networks that were taught to answer v or x₀.

    signal is √ᾱ_t and noise √(1−ᾱ_t), as numbers or shaped to broadcast. Raises ValueError for an unknown kind.
    """
    if prediction_type == "epsilon":
        return output
    if prediction_type == "v_prediction":  # Salimans & Ho 2022, https://arxiv.org/abs/2202.00512
        return signal * output + noise * x_t
    if prediction_type == "sample":
        return (x_t - signal * output) / noise
    raise ValueError(f"The model predicts {prediction_type!r}, which is not known here.")


def clock(device: torch.device) -> float:
    """Milliseconds, once the device has finished what it was given."""
    synchronize(device)
    return time.perf_counter() * 1000
