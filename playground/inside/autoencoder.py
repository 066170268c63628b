"""The VAE: picture -> latents -> picture, and what the way there and back loses."""

import math
import statistics
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image
from torch import Tensor

from playground.engine import Decode, Encode, Engine, Question

TIMED = 3  # round trips, of which the median times are shown
GAIN = 5  # the difference is drawn that many times stronger
_NAMES = {Encode: "encode", Decode: "decode", Question: "unet"}


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
    # "encode", "decode", "unet": each the median of the runs so far; of the U-Net one row, or its share of a call
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    runs: int = 0  # 1 … TIMED


def round_trip(engine: Engine, picture: Image.Image, visitor: str = "") -> Iterator[RoundTrip]:
    """RGB picture with sides that the VAE can divide -> its RoundTrip, at once after the first run, and again with the
    median times after each of TIMED runs. Raises Refusal where a part fails."""
    (first,) = engine.ask([Encode(picture)], visitor)
    latents = first.value
    # the latents are known now, so all that is left can be asked at once: on ZeroGPU each asking costs a worker
    rest = [Decode(latents), Question(latents, engine.facts.total_timesteps // 2, ("",))]
    asks = [*rest, *[Encode(picture), *rest] * (TIMED - 1)]
    took: dict[str, list[float]] = {"encode": [1000 * first.seconds], "decode": [], "unet": []}
    runs, found = 0, None
    with closing(engine.ask(asks, visitor)) as answers:
        for answer in answers:
            name = _NAMES[type(asks[answer.cell])]
            took[name].append(1000 * answer.seconds)
            if name == "decode" and found is None:
                found = _round_trip(picture, latents[0], answer.value[0])
            if (complete := min(map(len, took.values()))) > runs:
                runs = complete
                medians = {name: statistics.median(times[:runs]) for name, times in took.items()}
                yield replace(found, milliseconds=medians, runs=runs)


def _round_trip(picture: Image.Image, latents: Tensor, decoded: Image.Image) -> RoundTrip:
    """Without times."""
    before = _values(picture).size
    return RoundTrip(
        picture, latents, decoded, difference(picture, decoded), psnr(picture, decoded), before, latents.numel()
    )


def psnr(a: Image.Image, b: Image.Image) -> float:
    """Peak signal-to-noise ratio of two 8-bit pictures in dB: 10 · log₁₀(255² / mean squared difference)."""
    error = float(np.square(_values(a) - _values(b)).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf


def difference(a: Image.Image, b: Image.Image) -> Image.Image:
    """|a − b| × GAIN per channel; 255 means 51 or more."""
    return Image.fromarray((np.abs(_values(a) - _values(b)) * GAIN).clip(0, 255).astype(np.uint8))


def _values(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"), dtype=np.float64)
