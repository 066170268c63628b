"""Every piece of work that the views give to the model, small, to be compared between the places where it can run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from playground import Recipe
from playground.inside import attention, autoencoder, film, grid_film, guess, latent_noise, pipeline, prediction
from playground.ui.shared.shipped import EXAMPLES

APPLE = EXAMPLES / "first_view" / "2.png"
CAPTION = "red apple, blue background"
RECIPE = Recipe(prompt=CAPTION, num_inference_steps=3, seed=4)


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
        measured = ("seconds", "milliseconds")
        return all(same(getattr(one, f), getattr(other, f)) for f in one.__dataclass_fields__ if f not in measured)
    return one == pytest.approx(other, abs=1e-4) if isinstance(one, float) else one == other


WORK = {
    "film": lambda engine, x0, picture: list(film.film(engine, RECIPE)),
    "films": lambda engine, x0, picture: list(film.films(engine, [RECIPE, RECIPE.replace(guidance_scale=1.0)])),
    "walk": lambda engine, x0, picture: list(pipeline.walk(engine, RECIPE)),
    "begin": lambda engine, x0, picture: pipeline.begin(engine, RECIPE),
    "watch": lambda engine, x0, picture: list(attention.watch(engine, RECIPE)),
    "round_trip": lambda engine, x0, picture: list(autoencoder.round_trip(engine, picture)),
    "predict": lambda engine, x0, picture: prediction.predict(engine, x0, [CAPTION, ""], 500, 1),
    "predict_and_decode": lambda engine, x0, picture: prediction.predict_and_decode(engine, x0, [CAPTION], 500, 1),
    "losses": lambda engine, x0, picture: list(prediction.losses(engine, x0, [CAPTION, ""], [100, 900], 1, draws=2)),
    "guess": lambda engine, x0, picture: list(guess.guess(engine, x0, RECIPE, 700, {0, 1})),
    "encode_picture": lambda engine, x0, picture: latent_noise.encode_picture(engine, picture),
    "decode": lambda engine, x0, picture: list(latent_noise.decode(engine, x0.repeat(5, 1, 1, 1))),
    "preview": lambda engine, x0, picture: latent_noise.preview(engine, x0),
    "there_and_back": lambda engine, x0, picture: latent_noise.there_and_back(engine, picture),
    "noised_film": lambda engine, x0, picture: latent_noise.noised_film(
        engine, picture, 3, latent_noise.alphas_cumprod(engine.model), [0, 500]
    ),
    "strip": lambda engine, x0, picture: grid_film.strip(engine, x0.half()),
    "strips": lambda engine, x0, picture: grid_film.strips(engine, [x0.half(), x0.half()]),
}
