"""The "Predict noise" tab and the marks of "Add noise" with models that are not Pocket."""

import json
import re
import shutil
from pathlib import Path

import gradio as gr
import pytest
import torch

from playground import open_engine
from playground.engine import LocalEngine
from playground.inside.latent_noise import spread_timesteps
from playground.inside.prediction import losses, predict
from playground.refusal import Refusal
from playground.ui.add_noise.tab import marked
from playground.ui.predict_noise.guessing import way_back
from playground.ui.predict_noise.rail import Asked, Rail
from playground.ui.predict_noise.stage import lead, stage
from tests.models.tiny import KINDS, SIDES


@pytest.fixture(params=KINDS)
def asked(engines: dict[str, LocalEngine], request: pytest.FixtureRequest) -> tuple[LocalEngine, Asked]:
    """What the tab opens with."""
    return engines[request.param], opened(engines[request.param])


def opened(engine: LocalEngine) -> Asked:
    with gr.Blocks():
        rail = Rail(engine)
    found, errors = rail.read({component: component.value for component in rail.inputs})
    assert not errors
    return found


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


def follows(html: str) -> list[float]:
    """The numbers of the formula by which ε_θ follows from the network's answer."""
    line = next(part for part in html.split("<p>") if part.startswith("ε<sub>θ</sub> = "))
    return [float(number) for number in re.findall(r"<b>([\d.]+)</b>", line)]


def answer_of(engine: LocalEngine, opening: Asked, x_t: torch.Tensor, t: int) -> torch.Tensor:
    with torch.inference_mode():
        return engine.model.unet(x_t, t, **engine.model.encode(opening.recipe.prompt)).sample


def test_a_velocity_and_the_noise_that_follows_from_it(engines: dict[str, LocalEngine]) -> None:
    for kind in ("sd21-tiny", "zero-snr-tiny"):
        opening = opened(engines[kind])
        shown = stage(engines[kind], opening, 600)
        right, *_ = predict(engines[kind], opening.subject.x0, opening.captions, 600, opening.recipe.seed)
        velocity = answer_of(engines[kind], opening, right.x_t, 600)
        of_v, of_x = follows(shown)
        assert torch.allclose(of_v * velocity + of_x * right.x_t, right.predicted, atol=1e-3)
        assert f"· v<sub>θ</sub> + <span class=dp-whole><b>{of_x:.4f}</b> · x<sub>t</sub>" in shown
        assert "is ε θ = √ᾱ · v θ + √(1−ᾱ) · x t , and L is of that noise" in " ".join(words(shown).split())
        assert "training is of the answer itself, mean (v − v<sub>θ</sub>)²." in shown
    assert "must name the velocity v = √ᾱ · ε − √(1−ᾱ) · x<sub>0</sub>, from which" in lead("v_prediction")


def test_a_network_that_names_the_picture(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["odd-tiny"], tmp_path / "sample-tiny")
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prediction_type": "sample"}))
    engine = open_engine(folder, torch.device("cpu"), torch.float32, "torch")
    opening = opened(engine)
    shown = stage(engine, opening, 600)
    right, *_ = predict(engine, opening.subject.x0, opening.captions, 600, opening.recipe.seed)
    of_x0, over = follows(shown)
    picture = answer_of(engine, opening, right.x_t, 600)
    assert torch.allclose((right.x_t - of_x0 * picture) / over, right.predicted, atol=1e-3)
    assert "training is of the answer itself, mean (x<sub>0</sub> − x̂<sub>0</sub>)²." in shown
    assert torch.allclose(right.x0, picture, atol=1e-4) and "must name the picture x<sub>0</sub>" in lead("sample")
    engine.close()


def test_the_noise_itself_follows_from_nothing(engines: dict[str, LocalEngine]) -> None:
    shown = stage(engines["sd15-tiny"], opened(engines["sd15-tiny"]), 600)
    assert "follows" not in shown and "training" not in shown
    assert "must name the noise that was added" in lead("epsilon")


def test_where_nothing_of_the_picture_is_left_there_is_no_question(engines: dict[str, LocalEngine]) -> None:
    engine = engines["zero-snr-tiny"]
    with pytest.raises(Refusal, match=r"^At t = 999 nothing of the picture is left in x_t"):
        stage(engine, opened(engine), 999)


def test_a_samplers_marks_follow_the_chosen_schedule_with_any_model(engines: dict[str, LocalEngine]) -> None:
    for engine in engines.values():
        for sampler in engine.facts.samplers:
            for schedule in ("scaled_linear", "linear", "cosine"):
                assert "of 1,000 timesteps" in marked(engine.facts, sampler, 4, schedule)
    karras = [marked(engines["sd15-tiny"].facts, "dpmpp_2m_karras", 6, name) for name in ("scaled_linear", "linear")]
    assert karras[0] != karras[1]  # their timesteps follow the noise, so another schedule places them elsewhere
    assert 'data-visits="999,749,499,249"' in marked(engines["zero-snr-tiny"].facts, "ddim", 4, "linear")
