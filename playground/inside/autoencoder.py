"""The VAE: picture -> latents -> picture, what the way there and back loses, and what working in latents saves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from playground import pictures
from playground.engine import Engine
from playground.inside.network import ask, clock
from playground.inside.on_device import on_device
from playground.inside.pipeline import run_unet, skeleton
from playground.models import LatentModel

TIMED = 3  # round trips, of which the median times are shown
GAIN = 5  # the difference is drawn that many times stronger


@dataclass(frozen=True, eq=False)
class RoundTrip:
    """A picture and what its latents make of it again."""

    picture: Image.Image
    latents: Tensor  # (C, h, w) fp32 on the CPU, in the scale the U-Net works in
    decoded: Image.Image
    difference: Image.Image  # |picture − decoded| × GAIN, black where equal
    psnr: float  # dB; infinite where nothing is lost
    values_before: int  # numbers in the picture
    values_after: int  # numbers in the latents
    milliseconds: dict[str, float]  # "encode", "decode", "unet": each the median of the runs so far
    runs: int  # 1 … TIMED
    dtypes: dict[str, str]  # of the weights: "vae", "unet"


@dataclass(frozen=True)
class Cost:
    """Multiply-adds of one pass, counted from the network's shapes, not timed."""

    unet_latents: int  # one U-Net call on the latents
    unet_pixels: int  # one call of the same U-Net where every pixel is a place
    encode: int  # of the VAE
    decode: int


@on_device()
def round_trip(engine: Engine, picture: Image.Image) -> Iterator[RoundTrip]:
    """RGB picture with sides that the VAE can divide -> its RoundTrip, at once after the first run, and again with the
    median times after each of TIMED runs. The model is lent for one pass at a time."""
    pixels = pictures.to_x0(picture)[None]

    def encode(model: LatentModel) -> Tensor:
        # the mean of the posterior: the same picture always gives the same latents
        return model.vae.encode(pixels.to(model.device)).latent_dist.mode() * model.vae.config.scaling_factor

    took: dict[str, list[float]] = {"encode": [], "decode": [], "unet": []}
    dtypes = {"vae": _dtype(engine.model.vae), "unet": _dtype(engine.model.unet)}
    for n in range(1, TIMED + 1):
        latents = _timed(engine, encode, took["encode"])
        (decoded,) = _timed(engine, lambda model, x=latents: model.decode(x), took["decode"])
        _timed(engine, lambda model, x=latents: ask(model, x, 500.0, [""]), took["unet"])
        medians = {name: statistics.median(times) for name, times in took.items()}
        shown, apart = latents[0].float().cpu().clone(), difference(picture, decoded)
        error = psnr(picture, decoded)
        yield RoundTrip(picture, shown, decoded, apart, error, pixels.numel(), latents.numel(), medians, n, dtypes)


def _timed(engine: Engine, run: Callable[[LatentModel], Any], took: list[float]) -> Any:
    """What `run` gives, in a turn of its own; its milliseconds are added to `took`."""
    with engine.between_ticks() as model, torch.inference_mode():
        started = clock(model.device)
        result = run(model)
        took.append(clock(model.device) - started)
    return result


def _dtype(module: Any) -> str:
    return str(next(module.parameters()).dtype).removeprefix("torch.")


def psnr(a: Image.Image, b: Image.Image) -> float:
    """Peak signal-to-noise ratio of two 8-bit pictures in dB: 10 · log₁₀(255² / mean squared difference)."""
    error = float(np.square(_values(a) - _values(b)).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf


def difference(a: Image.Image, b: Image.Image) -> Image.Image:
    """|a − b| × GAIN per channel; 255 means 51 or more."""
    return Image.fromarray((np.abs(_values(a) - _values(b)) * GAIN).clip(0, 255).astype(np.uint8))


def _values(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"), dtype=np.float64)


@lru_cache(maxsize=16)
def cost(model: LatentModel, height: int, width: int) -> Cost:
    """Multiply-adds for a picture of h × w pixels, counted on networks without numbers (see `skeleton`).

    Counts convolutions, matrix products and attention; the rest (normalisation, activations) is far less.
    """
    rows, columns = height // model.vae_scale, width // model.vae_scale
    unet, vae = skeleton(model.unet), skeleton(model.vae)
    picture = torch.empty(1, vae.config.in_channels, height, width, device="meta")
    latents = torch.empty(1, vae.config.latent_channels, rows, columns, device="meta")
    return Cost(
        _multiply_adds(lambda: run_unet(unet, model, rows, columns)),
        _multiply_adds(lambda: run_unet(unet, model, height, width)),
        _multiply_adds(lambda: vae.encode(picture)),
        _multiply_adds(lambda: vae.decode(latents)),
    )


def _multiply_adds(run: Callable[[], Any]) -> int:
    """PyTorch counts a multiply-add as two operations."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() // 2


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
