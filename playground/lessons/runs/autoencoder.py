"""A picture, its latents, and the picture that the VAE makes of them again."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from playground.engine import Decode, Encode, Engine
from playground.inside.latent_noise import channel_tiles
from playground.lessons.runs.contract import OneEach, Outcome, Preview, taken
from playground.lessons.runs.samples import checked, sample
from playground.measure.distance import distance
from playground.models import Facts
from playground.store import Store

PAPER = "#808080"  # between the drawn channels, where a latent of 0 is drawn as well


@dataclass(frozen=True)
class RoundTrip(OneEach):
    picture: str

    measures: ClassVar[tuple[str, ...]] = ("values", "shrinkage", "distance")

    def labels(self, facts: Facts) -> Sequence[str]:
        return "the picture", f"its latents, {facts.channels} channels", "decoded again"

    def perform(self, engine: Engine, store: Store, visitor: str = "") -> Iterator[Preview | Outcome]:
        begun = time.perf_counter()
        picture = sample(self.picture, engine.facts.side)
        (encoded,) = engine.ask([Encode(picture)], visitor)
        (again,) = engine.ask([Decode(encoded.value)], visitor)
        tiles = channel_tiles(encoded.value)
        sheet = Image.new("RGB", tiles.size, PAPER)
        sheet.paste(tiles.convert("RGB"), mask=tiles.getchannel("A"))
        numbers = [float(np.asarray(picture).size), float(encoded.value.numel()), float(np.asarray(picture).size)]
        values = {
            "values": tuple(numbers),
            "shrinkage": tuple(numbers[0] / n for n in numbers),
            "distance": (0.0, None, distance(picture, again.value[0])),
        }
        drawn = (picture, sheet.resize(picture.size, Image.Resampling.NEAREST), again.value[0])
        yield Outcome(drawn, values, time.perf_counter() - begun)


def read(data: Mapping[str, Any], model: str) -> RoundTrip:
    """{picture} -> RoundTrip"""
    taken(data, {"picture": str}, ["picture"])
    return RoundTrip(checked(data["picture"]))
