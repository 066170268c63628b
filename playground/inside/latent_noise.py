"""The forward process in the model's own latents: encoded by its VAE, noised, decoded, and shown channel by channel."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from diffusers import DDPMScheduler
from PIL import Image
from torch import Tensor

from playground import noise, pictures
from playground.engine import Engine
from playground.inside.on_device import on_device
from playground.models import LatentModel

LIMIT = 3.0  # a channel is drawn black at −3 and white at 3; a unit normal value lies beyond in 0.3 % of the cases
TILE = 64  # pixels per side of one drawn channel
GAP = 4  # pixels between drawn channels, transparent
PICTURES_PER_DECODE = 4  # of the VAE at once: a visitor's grid waits meanwhile


@on_device()
def encode_picture(engine: Engine, picture: Image.Image) -> Tensor:
    """RGB picture of the model's size -> x₀ (1, C, h, w) float32 on the CPU, in the scale the U-Net works in.

    The mean of the VAE's posterior, so the same picture always gives the same latents; diffusers' img2img draws a
    sample from that posterior instead, which differs by the posterior's small variance.
    """
    pixels = pictures.to_x0(picture)[None]
    with engine.between_ticks() as model, torch.inference_mode():
        mean = model.vae.encode(pixels.to(model.device), return_dict=False)[0].mean
        x0 = mean * model.vae.config.scaling_factor
    return x0.float().cpu().clone()  # cloned outside inference mode: an ordinary tensor that may be copied and kept


@on_device()
def decode(engine: Engine, latents: Tensor) -> Iterator[Image.Image]:
    """(B, C, h, w) -> B pictures by the model's VAE, a few at a time so that nobody waits long."""
    for part in latents.split(PICTURES_PER_DECODE):
        with engine.between_ticks() as model:
            decoded = model.decode(part.to(model.device))
        yield from decoded


@on_device()
def preview(engine: Engine, latents: Tensor) -> list[Image.Image]:
    """(B, C, h, w) -> B quick pictures by the preview decoder, or by the VAE where the model has no such decoder"""
    with engine.between_ticks() as model:
        return model.preview(latents.to(model.device))


@on_device()
def there_and_back(engine: Engine, picture: Image.Image) -> tuple[Tensor, Image.Image]:
    """RGB picture of the model's size -> its x₀, as `encode_picture` gives it, and what the VAE makes of that again."""
    x0 = encode_picture(engine, picture)
    return x0, next(decode(engine, x0))


@on_device()
def noised_film(
    engine: Engine, picture: Image.Image, seed: int, alphas: Tensor, timesteps: Sequence[int]
) -> tuple[Tensor, Tensor, list[Image.Image]]:
    """RGB picture of the model's size, ᾱ (T,) -> x₀, ε ~ N(0, 1) of that seed, and x_t decoded at every timestep.

    Raises ValueError for a bad seed.
    """
    x0 = encode_picture(engine, picture)
    epsilon = noise.noise_like(x0.shape, seed)
    return x0, epsilon, list(decode(engine, noised(x0, epsilon, alphas, timesteps)))


def alphas_cumprod(model: LatentModel) -> Tensor:
    """ᾱ_t of the schedule the model was trained with, (T,) float32, as diffusers' DDPMScheduler computes it."""
    return DDPMScheduler.from_config(model.scheduler_config).alphas_cumprod.clone()


def channel_tiles(latents: Tensor, limit: float = LIMIT) -> Image.Image:
    """(1, C, h, w) or (C, h, w) -> one grey picture of all channels side by side, black at −limit, white at limit.

    About as many columns as rows (2 × 2 for four channels); every value is one square. Values beyond are clipped.
    """
    values = latents.reshape(-1, *latents.shape[-2:])
    columns = math.ceil(math.sqrt(len(values)))
    rows = math.ceil(len(values) / columns)
    step = TILE + GAP
    sheet = Image.new("LA", (columns * step - GAP, rows * step - GAP), (0, 0))
    levels = ((values / limit + 1) * 127.5).clamp(0, 255).round().byte().cpu().numpy()
    for i, channel in enumerate(levels):
        tile = Image.fromarray(np.ascontiguousarray(channel)).resize((TILE, TILE), Image.Resampling.NEAREST)
        sheet.paste(tile.convert("LA"), (i % columns * step, i // columns * step))
    return sheet


def spread_timesteps(total: int, count: int) -> list[int]:
    """T, n -> n whole timesteps in the middles of n equal parts of 0 … T−1, rising."""
    return [int((i + 0.5) * total / count) for i in range(count)]


def noised(x0: Tensor, epsilon: Tensor, alphas: Tensor, timesteps: Sequence[int]) -> Tensor:
    """x₀ and ε (1, C, h, w), ᾱ (T,), n timesteps -> x_t (n, C, h, w); Ho et al. 2020, equation 4."""
    alpha_bar = alphas[torch.tensor(list(timesteps))].reshape(-1, 1, 1, 1)
    return alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * epsilon
