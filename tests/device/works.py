"""Every piece of work that the views give to the model, small, to be compared between the places where it can run."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
import torch

from playground import Recipe
from playground.engine import Done, Encode
from playground.inside import attention, autoencoder, film, guess, latent_noise, prediction, strips, walk
from playground.schedule import amplitudes
from playground.ui.shared.shipped import EXAMPLES

APPLE = EXAMPLES / "first_view" / "2.png"
CAPTION = "red apple, blue background"
RECIPE = Recipe(prompt=CAPTION, num_inference_steps=3, seed=4)
CELLS = [RECIPE, RECIPE.replace(guidance_scale=1.0)]


def same(one: object, other: object) -> bool:
    """Equal up to rounding, whatever is in it; times may differ."""
    if isinstance(one, torch.Tensor):
        return torch.allclose(one.float(), other.float(), atol=1e-4)
    if hasattr(one, "getpixel"):
        return np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).max() <= 1
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if hasattr(one, "__dataclass_fields__"):
        measured = ("seconds", "milliseconds", "seconds_of_decoding", "png")
        return all(same(getattr(one, f), getattr(other, f)) for f in one.__dataclass_fields__ if f not in measured)
    return one == pytest.approx(other, abs=1e-4) if isinstance(one, float) else one == other


# name -> what it asks the engine; and below, in how many requests, each of which is a loan of the device on ZeroGPU
WORK = {
    "grid": lambda engine, x0, picture: [e for e in engine.run(CELLS, previews=False) if isinstance(e, Done)],
    "film": lambda engine, x0, picture: list(film.film(engine, RECIPE)),
    "films": lambda engine, x0, picture: [shot for _, shot in sorted_by_run(film.films(engine, CELLS))],
    "walk": lambda engine, x0, picture: list(walk.walk(engine, RECIPE)),
    "begin": lambda engine, x0, picture: walk.begin(engine, RECIPE),
    "watch": lambda engine, x0, picture: list(attention.watch(engine, RECIPE)),
    "round_trip": lambda engine, x0, picture: list(autoencoder.round_trip(engine, picture)),
    "predict": lambda engine, x0, picture: prediction.predict(engine, x0, [CAPTION, ""], 500, 1),
    "losses": lambda engine, x0, picture: list(prediction.losses(engine, x0, [CAPTION, ""], [100, 900], 1, draws=2)),
    "guess": lambda engine, x0, picture: list(guess.guess(engine, x0, RECIPE, 700, {0, 1})),
    "encode": lambda engine, x0, picture: next(engine.ask([Encode(picture)])).value,
    "decoded": lambda engine, x0, picture: latent_noise.decoded(engine, x0.repeat(5, 1, 1, 1)),
    "quick": lambda engine, x0, picture: latent_noise.decoded(engine, x0, quick=True),
    "noised_film": lambda engine, x0, picture: latent_noise.noised_film(
        engine, picture, 3, amplitudes(engine.facts.schedule), [0, 500]
    ),
    "strips": lambda engine, x0, picture: list(strips.strips(engine, [x0.half(), x0.half()])),
}
LOANS = dict.fromkeys(WORK, 1) | {"walk": 2, "round_trip": 2, "noised_film": 2}


def sorted_by_run(shots: Iterable[tuple[int, object]]) -> list[tuple[int, object]]:
    """Runs that go on together come in the order of the ticks, which depends on the batch."""
    return sorted(shots, key=lambda pair: pair[0])
