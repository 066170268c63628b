"""The "Predict noise" tab and the marks of "Add noise" with models that are not Pocket."""

import re

import gradio as gr
import pytest

from playground.engine import LocalEngine
from playground.inside.latent_noise import spread_timesteps
from playground.inside.prediction import losses
from playground.refusal import Refusal
from playground.ui.add_noise.tab import marked
from playground.ui.predict_noise.guessing import way_back
from playground.ui.predict_noise.rail import Asked, Rail
from playground.ui.predict_noise.stage import stage
from tests.models.tiny import KINDS, SIDES


@pytest.fixture(params=KINDS)
def asked(engines: dict[str, LocalEngine], request: pytest.FixtureRequest) -> tuple[LocalEngine, Asked]:
    """What the tab opens with."""
    engine = engines[request.param]
    with gr.Blocks():
        rail = Rail(engine)
    found, errors = rail.read({component: component.value for component in rail.inputs})
    assert not errors
    return engine, found


def words(html: str) -> str:
    return re.sub("<[^>]*>", " ", html)


def test_it_is_asked_in_its_own_size_and_settings(asked: tuple[LocalEngine, Asked]) -> None:
    engine, opening = asked
    side = SIDES.get(engine.facts.name, 64)
    assert opening.subject.x0.shape == engine.facts.latent_shape(side, side)
    assert opening.recipe == engine.facts.usual.replace(prompt=opening.recipe.prompt, sampler="ddim")
    engine.check(opening.recipe)
    shown = stage(engine, opening, 500)
    assert shown.count("<img") == 6
    assert f"{opening.subject.x0.numel():,} values" in words(shown) and "nan" not in words(shown)
    timesteps = spread_timesteps(engine.facts.total_timesteps, 4)
    (mean,) = losses(engine, opening.subject.x0, opening.captions, timesteps, 0)
    assert mean.shape == (3, 4) and bool(mean.isfinite().all())


def test_it_guesses_with_every_sampler_that_it_has(asked: tuple[LocalEngine, Asked]) -> None:
    engine, opening = asked
    for sampler in engine.facts.samplers:
        recipe = opening.recipe.replace(sampler=sampler, num_inference_steps=4)
        *_, last = way_back(engine, Asked(opening.subject, recipe, ""), 999)
        assert "the guess" in last and "All pictures here are decoded by the VAE." in last and "nan" not in words(last)
        whole = engine.facts.evaluations(recipe)  # from the noisiest level
        assert f"{whole} U-Net evaluations" in last


def test_where_nothing_of_the_picture_is_left_there_is_no_question(engines: dict[str, LocalEngine]) -> None:
    engine = engines["zero-snr-tiny"]
    with gr.Blocks():
        rail = Rail(engine)
    opening, _ = rail.read({component: component.value for component in rail.inputs})
    with pytest.raises(Refusal, match=r"^At t = 999 nothing of the picture is left in x_t"):
        stage(engine, opening, 999)


def test_a_samplers_marks_follow_the_chosen_schedule_with_any_model(engines: dict[str, LocalEngine]) -> None:
    for engine in engines.values():
        for sampler in engine.facts.samplers:
            for schedule in ("scaled_linear", "linear", "cosine"):
                assert "of 1,000 timesteps" in marked(engine.facts, sampler, 4, schedule)
    karras = [marked(engines["sd15-tiny"].facts, "dpmpp_2m_karras", 6, name) for name in ("scaled_linear", "linear")]
    assert karras[0] != karras[1]  # their timesteps follow the noise, so another schedule places them elsewhere
    assert 'data-visits="999,749,499,249"' in marked(engines["zero-snr-tiny"].facts, "ddim", 4, "linear")
