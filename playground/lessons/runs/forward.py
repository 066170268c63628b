"""The forward process on a picture's pixels: jumps to several t, or a jump beside the walk to the same t."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from playground import noise
from playground.engine import Engine
from playground.lessons.measures import measured
from playground.lessons.runs.contract import OneEach, Outcome, Preview, taken, whole_numbers
from playground.lessons.runs.samples import checked, sample
from playground.models import Facts
from playground.pictures import from_x0, to_x0
from playground.refusal import Refusal
from playground.store import Store

SIDE = 128  # pixels; a thousand steps of the walk take a second there


@dataclass(frozen=True)
class Forward(OneEach):
    """No model takes part. The noise ε of a seed is the same at every t; the walk draws its own, with the next seed."""

    picture: str
    t: tuple[int, ...]
    walk: bool = False  # to the only t, beside the jump
    schedule: str = "scaled_linear"
    seed: int = 0

    measures: ClassVar[tuple[str, ...]] = ("signal", "noise", "balance", "sharpness", "distance", "steps")

    def labels(self, facts: Facts) -> Sequence[str]:
        if self.walk:
            return f"jump to t = {self.t[0]}", f"walk to t = {self.t[0]}"
        return [f"t = {t}" for t in self.t]

    def perform(self, engine: Engine, store: Store, visitor: str = "") -> Iterator[Preview | Outcome]:
        begun = time.perf_counter()
        x0 = to_x0(sample(self.picture, SIDE))
        epsilon = noise.noise_like(x0.shape, self.seed)
        shown, steps = [], []
        for t in self.t:
            shown.append(noise.add_noise(x0, epsilon, t, self.schedule))
            steps.append(1.0)
        if self.walk:
            shown.append(noise.walk(x0, self.t[0], self.schedule, self.seed + 1))
            steps.append(self.t[0] + 1.0)
        pictures = [from_x0(x) for x in shown]
        amplitudes = [noise.amplitudes(x, x0) for x in shown]
        values: dict[str, tuple[float | None, ...]] = dict(measured([[picture] for picture in pictures]))
        values["signal"] = tuple(signal for signal, _ in amplitudes)
        values["noise"] = tuple(rest for _, rest in amplitudes)
        values["balance"] = tuple((rest / signal) ** 2 for signal, rest in amplitudes)
        values["steps"] = tuple(steps)
        kept = {name: values[name] for name in self.measures}
        yield Outcome(tuple(pictures), kept, time.perf_counter() - begun)


def read(data: Mapping[str, Any], model: str) -> Forward:
    """{picture, t: […]}, and perhaps walk, schedule, seed -> Forward"""
    known = {"picture": str, "t": list, "walk": bool, "schedule": str, "seed": int}
    taken(data, known, ["picture", "t"])
    t = whole_numbers(data, "t", 0, noise.TIMESTEPS - 1)
    if data.get("walk") and len(t) != 1:
        raise Refusal("A walk goes to one t.")
    schedule = noise.check_schedule(data.get("schedule", "scaled_linear"))
    return Forward(
        checked(data["picture"]), t, data.get("walk", False), schedule, noise.check_seed(data.get("seed", 0))
    )
