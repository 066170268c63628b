"""A guess is diffusers' image-to-image: for every sampler of the table, against StableDiffusionImg2ImgPipeline."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline

from playground import Recipe, pictures
from playground.engine import Engine
from playground.inside import guess, latent_noise, prediction
from playground.samplers import SAMPLERS
from playground.ui.shared.shipped import EXAMPLES

APPLE = EXAMPLES / "first_view" / "2.png"


@pytest.fixture(scope="module")
def x0(engine: Engine) -> torch.Tensor:
    return latent_noise.encode_picture(engine, pictures.open_picture(APPLE, engine.model.default_side))


@pytest.fixture(scope="module")
def img2img(engine: Engine) -> StableDiffusionImg2ImgPipeline:
    model = engine.model
    pipeline = StableDiffusionImg2ImgPipeline(
        model.vae,
        model.text_encoder,
        model.tokenizer,
        model.unet,
        DDIMScheduler.from_config(model.scheduler_config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_guess_is_diffusers_image_to_image(
    engine: Engine, x0: torch.Tensor, img2img: StableDiffusionImg2ImgPipeline, sampler: str
) -> None:
    recipe = Recipe(prompt="red apple, blue background", sampler=sampler, num_inference_steps=7, seed=11)
    plan = guess.plan(engine, recipe, 600)
    frames = list(guess.guess(engine, x0, recipe, 600))
    img2img.scheduler = SAMPLERS[sampler].make(engine.model.scheduler_config, recipe.seed)
    theirs = img2img(
        recipe.prompt,
        image=x0,
        strength=plan.strength,
        num_inference_steps=7,
        guidance_scale=recipe.guidance_scale,
        generator=torch.Generator().manual_seed(11),
        output_type="latent",
    ).images
    assert torch.allclose(frames[-1].x_t, theirs, atol=2e-3)
    assert plan.start <= 600 and plan.steps < 7
    assert len(frames) == len(plan.timesteps) + 1 and frames[0].t == plan.timesteps[0]


@pytest.mark.parametrize("sampler", ["ddim", "euler", "dpmpp_2m"])
def test_the_frames_are_on_one_scale(engine: Engine, x0: torch.Tensor, sampler: str) -> None:
    """Frame 0 is the closed form at the start, whatever scale the sampler keeps its latents on; and x̂₀ follows ε_θ."""
    recipe = Recipe(prompt="red apple, blue background", sampler=sampler, num_inference_steps=8, guidance_scale=1.0)
    first, second = list(guess.guess(engine, x0, recipe, 700))[:2]
    asked = prediction.predict(engine, x0, [recipe.prompt], int(first.t), recipe.seed)[0]
    tolerance = 2e-3 if sampler == "ddim" else 2e-2  # only DDIM's noise levels are those of whole timesteps
    assert first.x0 is None and torch.allclose(first.x_t, asked.x_t, atol=tolerance)
    assert torch.allclose(second.x0, asked.x0, atol=5 * tolerance)


def test_a_guess_that_has_nothing_left_to_do_is_refused(engine: Engine, x0: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"^t = 0 lies below 1, the last timestep .* choose a larger t\.$"):
        next(guess.guess(engine, x0, Recipe(sampler="ddim", num_inference_steps=10), 0))
    with pytest.raises(ValueError, match=r"at most 100 here\.$"):
        next(guess.guess(engine, x0, Recipe(sampler="ddim", num_inference_steps=101), 500))


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m_karras"])
def test_the_way_there_meets_the_way_back(engine: Engine, x0: torch.Tensor, sampler: str) -> None:
    """The closed form at the plan's first level is the x_t that the guess starts from; at its end it is x₀ itself."""
    recipe = Recipe(sampler=sampler, num_inference_steps=6, guidance_scale=1.0, seed=3)
    planned = guess.plan(engine, recipe, 700)
    way = guess.forward(x0, recipe, planned.levels)
    assert len(way) == len(planned.timesteps) + 1 and torch.equal(way[-1], x0[0])
    first = next(guess.guess(engine, x0, recipe, 700))
    assert torch.allclose(first.x_t[0], way[0], atol=1e-4)


def test_pictures_come_where_they_are_asked_for(engine: Engine, x0: torch.Tensor) -> None:
    recipe = Recipe(prompt="red apple", sampler="ddim", num_inference_steps=6)
    frames = list(guess.guess(engine, x0, recipe, 999, {0, 2}))
    assert [frame.k for frame in frames if frame.picture] == [0, 2, 6]
    assert [frame.k for frame in frames if frame.predicted] == [1, 3]
    shown = np.asarray(frames[3].predicted).astype(int)
    assert np.abs(shown - np.asarray(engine.model.preview(frames[3].x0)[0]).astype(int)).max() <= 1
    result = np.asarray(engine.model.decode(frames[6].x_t)[0]).astype(int)
    assert np.abs(np.asarray(frames[6].picture).astype(int) - result).max() <= 1
