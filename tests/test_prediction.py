"""Noise prediction against independent computations: torch's own loss, diffusers' schedulers, diffusers' img2img."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline
from PIL import Image

from playground import Recipe, pictures
from playground.engine import Engine
from playground.inside import latent_noise, prediction
from playground.samplers import SAMPLERS
from playground.ui.shipped import EXAMPLES

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


def test_the_latents_are_those_of_the_vae(engine: Engine, x0: torch.Tensor) -> None:
    assert x0.shape == engine.model.latent_shape(128, 128) and not x0.is_inference()
    back = next(latent_noise.decode(engine, x0))
    original = np.asarray(pictures.open_picture(APPLE, 128)).astype(float)
    error = np.mean((np.asarray(back).astype(float) - original) ** 2)
    assert 10 * np.log10(255**2 / error) > 25  # dB: another scale or another order of channels is far below


def test_alphas_are_those_of_the_schedule_the_model_ships(engine: Engine) -> None:
    theirs = DDIMScheduler.from_config(engine.model.scheduler_config).alphas_cumprod
    assert torch.equal(latent_noise.alphas_cumprod(engine.model), theirs)


@pytest.mark.parametrize("t", [1, 300, 640, 999])
def test_the_question_the_answer_and_the_loss(engine: Engine, x0: torch.Tensor, t: int) -> None:
    words, nothing = prediction.predict(engine, x0, ["red apple, blue background", ""], t, seed=5)
    scheduler = DDIMScheduler.from_config(engine.model.scheduler_config)
    epsilon = torch.randn(x0.shape, generator=torch.Generator().manual_seed(5))
    assert torch.equal(words.epsilon, epsilon)
    x_t = scheduler.add_noise(x0, epsilon, torch.tensor([t]))
    assert torch.allclose(words.x_t, x_t, atol=1e-6)
    with torch.inference_mode():
        alone = engine.model.unet(x_t, t, engine.model.encode("red apple, blue background")).sample
    assert torch.allclose(words.predicted, alone, atol=2e-4)
    assert words.loss == pytest.approx(torch.nn.functional.mse_loss(words.predicted, epsilon).item(), rel=1e-5)
    assert words.loss != nothing.loss
    theirs = scheduler.set_timesteps(10) or scheduler.step(words.predicted, t, x_t).pred_original_sample
    assert torch.allclose(words.x0, theirs, atol=1e-4, rtol=1e-4)
    assert words.alpha_bar == scheduler.alphas_cumprod[t].item()


def test_the_curve_holds_the_loss_of_single_questions(engine: Engine, x0: torch.Tensor) -> None:
    captions, timesteps = ["red apple, blue background", "green fish"], [100, 500, 900]
    first, mean = prediction.losses(engine, x0, captions, timesteps, seed=3, draws=2)
    assert first.shape == (2, 3)
    for row, caption in zip(first, captions, strict=True):
        single = [prediction.predict(engine, x0, [caption], t, 3)[0].loss for t in timesteps]
        assert row.tolist() == pytest.approx(single, rel=1e-3)
    second = 2 * mean - first  # of another draw of ε, from the same generator
    epsilon = prediction.draw_noise(x0, 3, 2)[1]
    x_t = DDIMScheduler.from_config(engine.model.scheduler_config).add_noise(x0, epsilon, torch.tensor([500]))
    predicted = engine.model.predict(x_t, torch.tensor([500]), engine.model.encode("green fish"))
    assert second[1, 1].item() == pytest.approx(torch.nn.functional.mse_loss(predicted, epsilon).item(), rel=1e-3)


def test_another_kind_of_answer_is_turned_into_noise() -> None:
    """v and x₀, computed from their definitions, lead back to the same ε."""
    x0, epsilon, alpha_bar = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8), torch.tensor(0.3)
    x_t = alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * epsilon
    answers = {
        "epsilon": epsilon,
        "v_prediction": alpha_bar.sqrt() * epsilon - (1 - alpha_bar).sqrt() * x0,
        "sample": x0,
    }
    for kind, answer in answers.items():
        assert torch.allclose(prediction.as_noise(x_t, answer, alpha_bar, kind), epsilon, atol=1e-5), kind
    with pytest.raises(ValueError, match="not known"):
        prediction.as_noise(x_t, epsilon, alpha_bar, "flow")


@pytest.mark.parametrize("t", [-1, 1000, 2.0, True, None, "5"])
def test_a_bad_timestep_is_refused(engine: Engine, x0: torch.Tensor, t: object) -> None:
    with pytest.raises(ValueError, match=r"^t must be a whole number from 0 to 999\.$"):
        prediction.predict(engine, x0, [""], t, 0)
    with pytest.raises(ValueError, match=r"^t must be"):
        next(prediction.guess(engine, x0, Recipe(), t))


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "pndm", "euler", "euler_a", "heun", "dpmpp_2m", "unipc", "lcm"])
def test_a_guess_is_diffusers_image_to_image(
    engine: Engine, x0: torch.Tensor, img2img: StableDiffusionImg2ImgPipeline, sampler: str
) -> None:
    recipe = Recipe(prompt="red apple, blue background", sampler=sampler, num_inference_steps=7, seed=11)
    plan = prediction.plan(engine, recipe, 600)
    frames = list(prediction.guess(engine, x0, recipe, 600))
    img2img.scheduler = SAMPLERS[sampler].make(engine.model.scheduler_config)
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
    first, second = list(prediction.guess(engine, x0, recipe, 700))[:2]
    asked = prediction.predict(engine, x0, [recipe.prompt], int(first.t), recipe.seed)[0]
    tolerance = 2e-3 if sampler == "ddim" else 2e-2  # only DDIM's noise levels are those of whole timesteps
    assert first.x0 is None and torch.allclose(first.x_t, asked.x_t, atol=tolerance)
    assert torch.allclose(second.x0, asked.x0, atol=5 * tolerance)


def test_a_guess_that_has_nothing_left_to_do_is_refused(engine: Engine, x0: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"^t = 0 lies below 1, the last timestep .* choose a larger t\.$"):
        next(prediction.guess(engine, x0, Recipe(sampler="ddim", num_inference_steps=10), 0))
    with pytest.raises(ValueError, match=r"at most 100 here\.$"):
        next(prediction.guess(engine, x0, Recipe(sampler="ddim", num_inference_steps=101), 500))


def test_the_channels_are_drawn_as_they_are() -> None:
    latents = torch.zeros(1, 4, 2, 2)
    latents[0, 1], latents[0, 2, 0, 0] = 3.0, -9.0
    sheet = latent_noise.channel_tiles(latents)
    assert isinstance(sheet, Image.Image) and sheet.size == (132, 132)
    assert [sheet.getpixel(p) for p in ((0, 0), (70, 3), (3, 70), (40, 70))] == [(128, 255)] + [
        (255, 255),
        (0, 255),
        (128, 255),
    ]
    assert sheet.getpixel((66, 10))[1] == 0  # the gap between two channels


def test_timesteps_are_spread_over_the_whole_schedule() -> None:
    assert latent_noise.spread_timesteps(1000, 4) == [125, 375, 625, 875]
