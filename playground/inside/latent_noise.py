"""The forward process in the model's own latents: encoded by its VAE, noised, decoded, and shown channel by channel."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from playground import noise
from playground.engine import Decode, Encode, Engine

LIMIT = 3.0  # a channel is drawn black at −3 and white at 3; a unit normal value lies beyond in 0.3 % of the cases
TILE = 64  # pixels per side of one drawn channel
GAP = 4  # pixels between drawn channels, transparent
PICTURES_PER_DECODE = 4  # of the VAE at once: a visitor's grid waits meanwhile


def decoded(engine: Engine, latents: Tensor, quick: bool = False, visitor: str = "") -> list[Image.Image]:
    """(B, C, h, w) -> B pictures by the model's VAE or, `quick`, as previews; a few at a time so that nobody waits
    long. Raises Refusal where that fails."""
    answers = engine.ask([Decode(part, quick) for part in latents.split(PICTURES_PER_DECODE)], visitor)
    return [picture for answer in sorted(answers, key=lambda answer: answer.cell) for picture in answer.value]


def noised_film(
    engine: Engine,
    picture: Image.Image,
    seed: int,
    amplitudes: tuple[Tensor, Tensor],
    timesteps: Sequence[int],
    visitor: str = "",
) -> tuple[Tensor, Tensor, list[Image.Image]]:
    """RGB picture of the model's size, signal and noise (T,) -> x₀, ε ~ N(0, 1) of that seed, and x_t decoded at
    every timestep.

    Raises Refusal for a bad seed, and where the engine cannot encode or decode it.
    """
    seed = noise.check_seed(seed)  # before the model is asked for anything
    (encoded,) = engine.ask([Encode(picture)], visitor)
    x0 = encoded.value
    epsilon = noise.noise_like(x0.shape, seed)
    return x0, epsilon, decoded(engine, noised(x0, epsilon, amplitudes, timesteps), visitor=visitor)


def channel_tiles(latents: Tensor) -> Image.Image:
    """(1, C, h, w) or (C, h, w) -> one grey picture of all channels side by side, black at −LIMIT, white at LIMIT.

    About as many columns as rows (2 × 2 for four channels); every value is one square. Values beyond are clipped.
    """
    values = latents.reshape(-1, *latents.shape[-2:])
    columns = math.ceil(math.sqrt(len(values)))
    rows = math.ceil(len(values) / columns)
    step = TILE + GAP
    sheet = Image.new("LA", (columns * step - GAP, rows * step - GAP), (0, 0))
    levels = ((values / LIMIT + 1) * 127.5).clamp(0, 255).round().byte().cpu().numpy()
    for i, channel in enumerate(levels):
        tile = Image.fromarray(np.ascontiguousarray(channel)).resize((TILE, TILE), Image.Resampling.NEAREST)
        sheet.paste(tile.convert("LA"), (i % columns * step, i // columns * step))
    return sheet


def spread_timesteps(total: int, count: int) -> list[int]:
    """T, n -> n whole timesteps in the middles of n equal parts of 0 … T−1, rising."""
    return [int((i + 0.5) * total / count) for i in range(count)]


def noised(x0: Tensor, epsilon: Tensor, amplitudes: tuple[Tensor, Tensor], timesteps: Sequence[int]) -> Tensor:
    """x₀ and ε (1, C, h, w), signal and noise (T,), n timesteps -> x_t (n, C, h, w); Ho et al. 2020, equation 4."""
    signal, noise = (part[torch.tensor(list(timesteps))].reshape(-1, 1, 1, 1) for part in amplitudes)
    return signal * x0 + noise * epsilon
