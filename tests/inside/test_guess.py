"""A guess is diffusers' image-to-image: for every sampler of the table, against StableDiffusionImg2ImgPipeline."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline

from playground import Recipe, pictures
from playground.engine import Done, Encode, LocalEngine, Step
from playground.inside.guess import forward, guess
from playground.inside.prediction import predict
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.schedule import plan
from playground.ui.shared.shipped import EXAMPLES
from tests import schedulers

APPLE = EXAMPLES / "first_view" / "2.png"


@pytest.fixture(scope="module")
def x0(engine: LocalEngine) -> torch.Tensor:
    (answer,) = engine.ask([Encode(pictures.open_picture(APPLE, engine.facts.side))])
    return answer.value


@pytest.fixture(scope="module")
def img2img(engine: LocalEngine) -> StableDiffusionImg2ImgPipeline:
    model = engine.model
    pipeline = StableDiffusionImg2ImgPipeline(
        model.vae,
        model.pipeline.text_encoder,
        model.pipeline.tokenizer,
        model.unet,
        DDIMScheduler.from_config(engine.facts.schedule),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_guess_is_diffusers_image_to_image(
    engine: LocalEngine, x0: torch.Tensor, img2img: StableDiffusionImg2ImgPipeline, sampler: str
) -> None:
    recipe = Recipe(prompt="red apple, blue background", sampler=sampler, num_inference_steps=7, seed=11)
    planned = plan(recipe, engine.facts.schedule, 600)
    *steps, done = guess(engine, x0, recipe, 600)
    schedulers.use(img2img, recipe)
    theirs = img2img(
        recipe.prompt,
        image=x0,
        strength=planned.strength,
        num_inference_steps=7,
        guidance_scale=recipe.guidance_scale,
        generator=torch.Generator().manual_seed(11),
        output_type="latent",
    ).images
    assert torch.allclose(done.result.x0, theirs, atol=2e-3)
    assert planned.start <= 600 and planned.steps < 7
    assert [step.t for step in steps] == list(planned.timesteps)


@pytest.mark.parametrize("sampler", ["ddim", "euler", "dpmpp_2m"])
def test_every_call_sees_one_scale(engine: LocalEngine, x0: torch.Tensor, sampler: str) -> None:
    """The first call sees the closed form, whatever scale the sampler keeps its latents on; and x̂₀ follows ε_θ."""
    recipe = Recipe(prompt="red apple, blue background", sampler=sampler, num_inference_steps=8, guidance_scale=1.0)
    first, *_ = guess(engine, x0, recipe, 700)
    asked = predict(engine, x0, [recipe.prompt], int(first.t), recipe.seed)[0]
    tolerance = 2e-3 if sampler == "ddim" else 2e-2  # only DDIM's noise levels are those of whole timesteps
    assert first.k == 1 and torch.allclose(first.kept.x_t, asked.x_t, atol=tolerance)
    assert torch.allclose(first.kept.x0, asked.x0, atol=5 * tolerance)


def test_a_guess_that_has_nothing_left_to_do_is_refused(engine: LocalEngine, x0: torch.Tensor) -> None:
    with pytest.raises(Refusal, match=r"^t = 0 lies below 1, the last timestep .* choose a larger t\.$"):
        next(guess(engine, x0, Recipe(sampler="ddim", num_inference_steps=10), 0))
    with pytest.raises(Refusal, match=r"at most 100 here\.$"):
        next(guess(engine, x0, Recipe(sampler="ddim", num_inference_steps=101), 500))


@pytest.mark.parametrize("t", [-1, 1000, 2.0, True, None, "5"])
def test_a_bad_timestep_is_refused(engine: LocalEngine, x0: torch.Tensor, t: object) -> None:
    with pytest.raises(Refusal, match=r"^t must be a whole number from 0 to 999\.$"):
        next(guess(engine, x0, Recipe(), t))


def test_latents_of_another_size_are_refused(engine: LocalEngine, x0: torch.Tensor) -> None:
    with pytest.raises(Refusal, match="The picture to start from has latents"):
        next(guess(engine, x0[..., :8], Recipe(sampler="ddim"), 500))


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m_karras"])
def test_the_way_there_meets_the_way_back(engine: LocalEngine, x0: torch.Tensor, sampler: str) -> None:
    """The closed form at the plan's first level is the x_t that the guess starts from; at its end it is x₀ itself."""
    recipe = Recipe(sampler=sampler, num_inference_steps=6, guidance_scale=1.0, seed=3)
    planned = plan(recipe, engine.facts.schedule, 700)
    way = forward(x0, recipe, planned.levels)
    assert len(way) == len(planned.timesteps) + 1 and torch.equal(way[-1], x0[0])
    first = next(guess(engine, x0, recipe, 700))
    assert torch.allclose(first.kept.x_t[0], way[0], atol=1e-4)


def test_pictures_come_where_they_are_asked_for(engine: LocalEngine, x0: torch.Tensor) -> None:
    recipe = Recipe(prompt="red apple", sampler="ddim", num_inference_steps=6)
    *steps, done = guess(engine, x0, recipe, 999, {0, 2})
    assert [step.k - 1 for step in steps if step.kept.pictures] == [0, 2] and len(steps) == 6
    for name, latents in (("x_t", steps[2].kept.x_t), ("x0", steps[2].kept.x0)):
        shown = np.asarray(steps[2].kept.pictures[name]).astype(int)
        assert np.abs(shown - np.asarray(engine.model.preview(latents)[0]).astype(int)).max() <= 1
    result = np.asarray(engine.model.decode(done.result.x0)[0]).astype(int)
    assert np.abs(np.asarray(done.result.image).astype(int) - result).max() <= 1


def test_a_guess_shares_calls_with_other_visitors_and_leaves_within_one(
    engine: LocalEngine, x0: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []  # of each call of the network
    predict_rows = engine.model.predict
    monkeypatch.setattr(
        engine.model, "predict", lambda latents, *rest: (rows.append(len(latents)), predict_rows(latents, *rest))[1]
    )
    here = threading.Event()

    def others() -> None:
        recipe = Recipe(prompt="green fish", seed=5, num_inference_steps=60, guidance_scale=1.0)
        for event in engine.run([recipe], previews=False):
            if isinstance(event, Step) and event.k == 2:
                here.set()

    visitor = threading.Thread(target=others)
    visitor.start()
    here.wait(30)
    recipe = Recipe(prompt="apple", sampler="ddim", num_inference_steps=100, guidance_scale=1.0)
    events: Iterator[Step | Done] = guess(engine, x0, recipe, 990)
    next(events), next(events)
    events.close()
    calls = len(rows)
    visitor.join()
    assert 2 in rows[:calls]  # both runs in one call
    assert set(rows[calls + 1 :]) == {1}  # the guess took part in one more call at most
