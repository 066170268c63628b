"""What training asks of the network, at several t: the loss L, and the picture that is left without its answer."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from playground.engine import Encode, Engine
from playground.inside.latent_noise import decoded
from playground.inside.prediction import losses, predict
from playground.lessons.measures import measured
from playground.lessons.runs.contract import OneEach, Outcome, Preview, taken, whole_numbers
from playground.lessons.runs.samples import checked, sample
from playground.models import Facts
from playground.noise import check_seed
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.store import Store

DRAWS = 4  # of ε, over which L is averaged


@dataclass(frozen=True)
class Guess(OneEach):
    """`caption` tells the network what the picture is. The pictures are x̂₀, drawn by the VAE, with the first ε."""

    picture: str
    t: tuple[int, ...]
    caption: str = ""
    seed: int = 0

    measures: ClassVar[tuple[str, ...]] = ("loss", "sharpness", "distance", "distance_to_last")

    def labels(self, facts: Facts) -> Sequence[str]:
        if max(self.t) >= facts.total_timesteps:
            raise Refusal(f"This model has timesteps below {facts.total_timesteps:,} only.")
        return [f"t = {t}" for t in self.t]

    def perform(self, engine: Engine, store: Store, visitor: str = "") -> Iterator[Preview | Outcome]:
        begun = time.perf_counter()
        (encoded,) = engine.ask([Encode(sample(self.picture, engine.facts.side))], visitor)
        x0, captions = encoded.value, [self.caption]
        *_, mean = losses(engine, x0, captions, self.t, self.seed, DRAWS, visitor)
        answers = [predict(engine, x0, captions, t, self.seed, visitor)[0] for t in self.t]
        pictures = decoded(engine, torch.cat([answer.x0 for answer in answers]), visitor=visitor)
        values: dict[str, tuple[float | None, ...]] = dict(measured([[picture] for picture in pictures]))
        values["loss"] = tuple(mean[0].tolist())
        yield Outcome(tuple(pictures), {n: values[n] for n in self.measures}, time.perf_counter() - begun)


def read(data: Mapping[str, Any], model: str) -> Guess:
    """{picture, t: […]}, and perhaps caption, seed -> Guess"""
    taken(data, {"picture": str, "t": list, "caption": str, "seed": int}, ["picture", "t"])
    caption = Recipe(prompt=data.get("caption", "")).prompt
    t = whole_numbers(data, "t", 0, 999)
    return Guess(checked(data["picture"]), t, caption, check_seed(data.get("seed", 0)))
