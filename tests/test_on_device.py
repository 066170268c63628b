"""The views on ZeroGPU: the same results as elsewhere, with the model touched inside the worker only."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file

from playground import Recipe, pictures
from playground.engine import Engine, zero_gpu
from playground.inside import (
    attention,
    autoencoder,
    film,
    grid_film,
    guess,
    latent_noise,
    on_device,
    pipeline,
    prediction,
)
from playground.ui.shipped import EXAMPLES

APPLE = EXAMPLES / "first_view" / "2.png"
CAPTION = "red apple, blue background"
RECIPE = Recipe(prompt=CAPTION, num_inference_steps=3, seed=4)


class Platform:
    """ZeroGPU's stand-in: all that goes in or comes out is pickled, and calls of the model elsewhere are noted."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []  # of the worker
        self.outside: list[str] = []  # modules that ran where there is no device
        self._inside = False
        real = on_device._on_gpu

        def on_gpu(name: str, args: tuple, kwargs: dict) -> Iterator[object]:
            self.calls.append(name.rpartition(".")[2])
            results = real(*pickle.loads(pickle.dumps((name, args, kwargs))))
            while True:
                self._inside = True
                try:
                    found = next(results, self)
                finally:
                    self._inside = False
                if found is self:
                    return
                yield pickle.loads(pickle.dumps(found))

        monkeypatch.setattr(zero_gpu, "ACTIVE", True)
        monkeypatch.setattr(on_device, "_on_gpu", on_gpu)
        model = engine.model
        parts = {"text_encoder": model.text_encoder, "unet": model.unet, "preview": model.preview_decoder}
        parts |= {"encoder": model.vae.encoder, "decoder": model.vae.decoder}
        self.hooks = [part.register_forward_pre_hook(self._note(name)) for name, part in parts.items()]

    def _note(self, name: str):  # noqa: ANN202
        return lambda *_: None if self._inside else self.outside.append(name)


@pytest.fixture
def platform(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    engine.model.encode.cache_clear()  # so that every text is encoded where it is asked about
    platform = Platform(engine, monkeypatch)
    yield platform
    for hook in platform.hooks:
        hook.remove()
    engine.model.encode.cache_clear()


@pytest.fixture(scope="module")
def picture() -> object:
    return pictures.open_picture(APPLE, 128)


@pytest.fixture(scope="module")
def x0(engine: Engine, picture) -> torch.Tensor:  # noqa: ANN001
    return latent_noise.encode_picture(engine, picture)


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


def test_every_piece_of_work_is_tested_here() -> None:
    assert {name.rpartition(".")[2] for name in on_device._works} == set(WORK)


@pytest.mark.parametrize("name", WORK)
def test_work_in_a_worker_gives_what_it_gives_elsewhere(
    engine: Engine,
    x0: torch.Tensor,
    picture,
    monkeypatch: pytest.MonkeyPatch,
    name: str,  # noqa: ANN001
) -> None:
    expected = WORK[name](engine, x0, picture)
    platform = Platform(engine, monkeypatch)
    try:
        found = WORK[name](engine, x0, picture)
    finally:
        for hook in platform.hooks:
            hook.remove()
    assert platform.calls == [name] and platform.outside == []  # one loan for the whole, however much it calls
    assert same(found, expected)


def test_what_a_worker_refuses_is_said_in_the_same_words(engine: Engine, x0: torch.Tensor, platform: Platform) -> None:
    with pytest.raises(ValueError, match=r"^t must be a whole number from 0 to 999\.$"):
        prediction.predict(engine, x0, [""], 1000, 0)
    with pytest.raises(ValueError, match=r"^model must be pocket"):
        next(pipeline.walk(engine, RECIPE.replace(model="elsewhere")))


def test_stopping_a_view_stops_the_worker(engine: Engine, platform: Platform) -> None:
    running = film.film(engine, RECIPE.replace(num_inference_steps=500))
    next(running)
    rows: list[int] = []
    hook = engine.model.unet.register_forward_pre_hook(lambda *_: rows.append(1))
    running.close()
    hook.remove()
    assert rows == []


def test_a_loan_lasts_as_long_as_the_work_needs_within_what_is_granted(engine: Engine, platform: Platform) -> None:
    next(iter(film.film(engine, RECIPE)))  # so that the engine is known
    each = engine.loop.seconds_per_evaluation
    film_name, short = "playground.inside.film.film", RECIPE
    assert on_device._duration(film_name, (short,), {}) == 15  # the least
    long = RECIPE.replace(num_inference_steps=1000)
    expected = min(120, max(15, 5 + 1.5 * 2000 * each))
    assert on_device._duration(film_name, (long,), {}) == round(expected)
    unguided = on_device._duration(film_name, (long.replace(guidance_scale=1.0),), {})
    assert unguided == round(expected)  # it is filmed with both passes


def test_no_page_asks_the_model_outside_a_worker(
    address: str, engine: Engine, platform: Platform, tmp_path: Path
) -> None:
    """The endpoints of the views, called on the real page."""
    client = Client(address, verbose=False, download_files=str(tmp_path))
    small = RECIPE.replace(num_inference_steps=2).to_dict()
    client.predict(small, api_name="/denoise")
    client.predict(small, api_name="/inspect_prompt")
    client.predict(handle_file(str(APPLE)), CAPTION, 640, 4, 3, "euler", api_name="/predict_noise")
    with pytest.raises(Exception, match="t must be a whole number"):
        client.predict(handle_file(str(APPLE)), CAPTION, 1000, 4, None, "ddim", api_name="/predict_noise")
    assert platform.outside == []
    assert platform.calls == ["film", "walk", "encode_picture", "predict_and_decode", "guess", *platform.calls[5:]]
