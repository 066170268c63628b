"""Noise prediction against independent computations: torch's own loss, diffusers' schedulers."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image

from playground import pictures
from playground.engine import Encode, LocalEngine
from playground.inside import latent_noise, prediction
from playground.refusal import Refusal
from playground.schedule import alphas_cumprod
from playground.ui.shared.shipped import EXAMPLES

APPLE = EXAMPLES / "first_view" / "2.png"


@pytest.fixture(scope="module")
def x0(engine: LocalEngine) -> torch.Tensor:
    (answer,) = engine.ask([Encode(pictures.open_picture(APPLE, engine.facts.side))])
    return answer.value


def test_the_latents_are_those_of_the_vae(engine: LocalEngine, x0: torch.Tensor) -> None:
    assert x0.shape == engine.facts.latent_shape(128, 128) and not x0.is_inference()
    (back,) = latent_noise.decoded(engine, x0)
    original = np.asarray(pictures.open_picture(APPLE, 128)).astype(float)
    error = np.mean((np.asarray(back).astype(float) - original) ** 2)
    assert 10 * np.log10(255**2 / error) > 25  # dB: another scale or another order of channels is far below


def test_alphas_are_those_of_the_schedule_the_model_ships(engine: LocalEngine) -> None:
    theirs = DDIMScheduler.from_config(engine.facts.schedule).alphas_cumprod
    assert torch.equal(alphas_cumprod(engine.facts.schedule), theirs)


@pytest.mark.parametrize("t", [1, 300, 640, 999])
def test_the_question_the_answer_and_the_loss(engine: LocalEngine, x0: torch.Tensor, t: int) -> None:
    words, nothing = prediction.predict(engine, x0, ["red apple, blue background", ""], t, seed=5)
    scheduler = DDIMScheduler.from_config(engine.facts.schedule)
    epsilon = torch.randn(x0.shape, generator=torch.Generator().manual_seed(5))
    assert torch.equal(words.epsilon, epsilon)
    x_t = scheduler.add_noise(x0, epsilon, torch.tensor([t]))
    assert torch.allclose(words.x_t, x_t, atol=1e-6)
    with torch.inference_mode():
        alone = engine.model.unet(x_t, t, **engine.model.encode("red apple, blue background")).sample
    assert torch.allclose(words.predicted, alone, atol=2e-4)
    assert words.loss == pytest.approx(torch.nn.functional.mse_loss(words.predicted, epsilon).item(), rel=1e-5)
    assert words.loss != nothing.loss
    assert torch.allclose(words.predicted + words.missed, epsilon, atol=1e-5)
    assert prediction.apart(words.predicted, epsilon) == words.loss
    theirs = scheduler.set_timesteps(10) or scheduler.step(words.predicted, t, x_t).pred_original_sample
    assert torch.allclose(words.x0, theirs, atol=1e-4, rtol=1e-4)
    assert words.alpha_bar == pytest.approx(scheduler.alphas_cumprod[t].item(), rel=1e-5)


def test_the_curve_holds_the_loss_of_single_questions(engine: LocalEngine, x0: torch.Tensor) -> None:
    captions, timesteps = ["red apple, blue background", "green fish"], [100, 500, 900]
    first, mean = prediction.losses(engine, x0, captions, timesteps, seed=3, draws=2)
    assert first.shape == (2, 3)
    for row, caption in zip(first, captions, strict=True):
        single = [prediction.predict(engine, x0, [caption], t, 3)[0].loss for t in timesteps]
        assert row.tolist() == pytest.approx(single, rel=1e-3)
    second = 2 * mean - first  # of another draw of ε, from the same generator
    epsilon = prediction.draw_noise(x0, 3, 2)[1]
    x_t = DDIMScheduler.from_config(engine.facts.schedule).add_noise(x0, epsilon, torch.tensor([500]))
    predicted = engine.model.predict(x_t, torch.tensor([500]), [engine.model.encode("green fish")])
    assert second[1, 1].item() == pytest.approx(torch.nn.functional.mse_loss(predicted, epsilon).item(), rel=1e-3)


@pytest.mark.parametrize("t", [-1, 1000, 2.0, True, None, "5"])
def test_a_bad_timestep_is_refused(engine: LocalEngine, x0: torch.Tensor, t: object) -> None:
    with pytest.raises(Refusal, match=r"^t must be a whole number from 0 to 999\.$"):
        prediction.predict(engine, x0, [""], t, 0)


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
