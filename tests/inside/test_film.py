"""The film of a run is the run itself: the engine's picture at its end, and the true x̂₀ and σ at every step."""

import math
import pickle
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from playground import Recipe
from playground.answer import x0_of
from playground.engine import Keep, LocalEngine, Step, zero_gpu
from playground.inside import film as film_module
from playground.inside.film import Ending, Shot, check, check_time, film, films, noise_picture
from playground.inside.guidance import numbers, taken_apart
from playground.models import REGISTERED
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.schedule import Level, levels, steps_taken
from tests.engine.support import counted

SCHEDULE = DDIMScheduler.from_pretrained(REGISTERED["pocket"], subfolder="scheduler").config
# ᾱ and σ in double precision from the published β (Stable Diffusion's scaled-linear schedule)
ALPHA_BAR = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
SIGMA = np.sqrt((1 - ALPHA_BAR) / ALPHA_BAR)
APPLE = Recipe(prompt="red apple, blue background", negative_prompt="cat", num_inference_steps=5, seed=4)


def shots_of(engine: LocalEngine, recipe: Recipe) -> list[Shot]:
    return [shot for shot in film(engine, recipe) if isinstance(shot, Shot)]


def expected_sigma(sampler: str, shot: Shot, steps: int) -> float:
    """σ at a shot, from the table alone."""
    if sampler == "dpmpp_2m_karras":  # Karras et al. 2022, equation 5, ρ = 7
        low, high = SIGMA[0] ** (1 / 7), SIGMA[-1] ** (1 / 7)
        return float((high + shot.k / (steps - 1) * (low - high)) ** 7)
    if sampler == "dpmpp_sde" and shot.k % 2:  # half-way in log σ between two of np.linspace's timesteps
        around = np.linspace(999, 0, steps)[[shot.k // 2, shot.k // 2 + 1]]
        return float(np.exp(np.log(np.interp(around, np.arange(1000), SIGMA)).mean()))
    return float(np.interp(shot.level.t, np.arange(1000), SIGMA))


def clean(shot: Shot, eps: torch.Tensor) -> torch.Tensor:
    """The x̂₀ that this ε would leave of the shot's x_t."""
    return x0_of(shot.kept.x_t, eps, shot.level.signal, shot.level.noise, "epsilon")


@pytest.mark.parametrize("key", SAMPLERS)
def test_x0_and_sigma_of_every_sampler_are_those_of_the_closed_form(engine: LocalEngine, key: str) -> None:
    """x̂₀ = √(1+σ²)·x_t − σ·ε_θ, with ε_θ asked here once more and σ from the table above."""
    recipe, model = APPLE.replace(sampler=key), engine.model
    seen = shots_of(engine, recipe)
    assert [shot.k for shot in seen] == list(range(SAMPLERS[key].calls(5)))
    for shot in seen:
        level, kept, sigma = shot.level, shot.kept, expected_sigma(key, shot, 5)
        assert level.sigma == pytest.approx(sigma, rel=2e-3)
        assert level.log_snr == pytest.approx(-2 * math.log(sigma), abs=5e-3)
        with torch.inference_mode():
            asked = [
                model.unet(kept.x_t, torch.tensor([level.t]), model.encode(text)["encoder_hidden_states"]).sample
                for text in (recipe.negative_prompt, recipe.prompt)
            ]
        guided = asked[0] + 5.0 * (asked[1] - asked[0])
        assert torch.allclose(kept.eps_uncond, asked[0], atol=1e-4)
        assert torch.allclose(kept.eps_cond, asked[1], atol=1e-4)
        assert torch.allclose(kept.eps, guided, atol=1e-3)
        x0 = math.sqrt(1 + sigma**2) * kept.x_t - sigma * guided
        assert torch.allclose(kept.x0, x0, rtol=1e-2, atol=1e-2 * max(1, sigma)), shot.k
        assert torch.allclose(clean(shot, kept.eps), kept.x0, atol=1e-3 * max(1, sigma))


@pytest.mark.parametrize("key", SAMPLERS)
@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
def test_the_end_of_the_film_is_the_engines_picture(engine: LocalEngine, key: str, guidance_scale: float) -> None:
    recipe = APPLE.replace(sampler=key, guidance_scale=guidance_scale)
    *_, last = film(engine, recipe)
    assert isinstance(last, Ending)
    expected = np.asarray(engine.render(recipe).image).astype(int)
    assert np.abs(np.asarray(last.result.image).astype(int) - expected).max() <= 2
    assert last.result.recipe == recipe and last.result.evaluations == engine.facts.evaluations(recipe)


@pytest.mark.parametrize("key", ["ddim", "euler"])
def test_each_step_of_the_plain_solvers_lands_on_the_next_shot(engine: LocalEngine, key: str) -> None:
    """DDIM and Euler are the same walk: x_s = √ᾱ_s·x̂₀ + √(1−ᾱ_s)·ε_θ (Song et al. 2020, equation 12)."""
    seen = shots_of(engine, APPLE.replace(sampler=key))
    for shot, following in zip(seen, seen[1:], strict=False):
        alpha_bar = np.interp(following.level.t, np.arange(1000), SIGMA)
        alpha_bar = 1 / (1 + alpha_bar**2)
        landed = alpha_bar**0.5 * shot.kept.x0 + (1 - alpha_bar) ** 0.5 * shot.kept.eps
        assert torch.allclose(following.kept.x_t, landed, atol=2e-3)
        assert shot.step_sigma == pytest.approx(following.level.sigma - shot.level.sigma)
        assert shot.next_level == following.level


def test_sixteen_of_thirty_two_is_not_sixteen() -> None:
    half = levels(Recipe(sampler="dpmpp_2m", num_inference_steps=32), SCHEDULE)[16]
    assert half.t == 500 and half.sigma == pytest.approx(SIGMA[500], rel=1e-4)
    assert levels(Recipe(sampler="dpmpp_2m", num_inference_steps=16), SCHEDULE)[16] == Level(None, 1.0, 0.0)


@pytest.mark.parametrize(("key", "end"), [("ddpm", 0.0), ("ddim", SIGMA[0]), ("pndm", SIGMA[0]), ("lcm", 0.0)])
def test_where_a_run_ends(key: str, end: float) -> None:
    last = levels(Recipe(sampler=key, num_inference_steps=10), SCHEDULE)[-1]
    assert last.t is None and last.sigma == pytest.approx(end, rel=1e-3)
    assert last.log_snr == pytest.approx(-2 * math.log(end) if end else math.inf, rel=1e-3)


def test_complete_steps_are_counted_per_sampler() -> None:
    def taken(key: str) -> list[int]:
        recipe = Recipe(sampler=key, num_inference_steps=3)
        return [steps_taken(recipe, k) for k in range(SAMPLERS[key].calls(3) + 1)]

    assert taken("euler") == [0, 1, 2, 3]
    assert taken("heun") == [0, 0, 1, 1, 2, 3]
    assert taken("pndm") == [0, 0, 1, 2, 3]


def test_guidance_numbers_are_those_of_the_tensors(engine: LocalEngine) -> None:
    shot = shots_of(engine, APPLE)[2]
    kept = shot.kept
    cond, uncond, eps = (x.numpy().astype(float).ravel() for x in (kept.eps_cond, kept.eps_uncond, kept.eps))
    parts = taken_apart(shot)
    assert parts.norm_difference == pytest.approx(np.linalg.norm(cond - uncond)) and parts.norm_difference > 0.1
    assert parts.norm_eps == pytest.approx(np.linalg.norm(uncond + 5 * (cond - uncond)), rel=1e-5)
    assert parts.cosine == pytest.approx(cond @ uncond / np.linalg.norm(cond) / np.linalg.norm(uncond))
    most = np.unravel_index(np.abs(cond - uncond).argmax(), kept.eps.shape[1:])
    value = parts.largest
    assert (value.channel, value.row, value.column) == tuple(i + 1 for i in most)
    assert value.eps == pytest.approx(value.uncond + 5 * (value.cond - value.uncond), abs=1e-5)
    assert value.eps == pytest.approx(eps.reshape(kept.eps.shape[1:])[most])
    told = numbers(shot, parts)
    assert told["t"] == shot.level.t and set(told) >= {"k", "sigma", "log_snr", "cosine"}


def test_numbers_without_a_value_are_none_where_nothing_but_noise_is_left(engine: LocalEngine) -> None:
    """A schedule with zero terminal SNR begins without any signal; JSON has no infinity."""
    shot = shots_of(engine, APPLE.replace(num_inference_steps=1))[0]
    told = numbers(replace(shot, level=Level(999.0, 0.0, 1.0)), taken_apart(shot))
    assert told["sigma"] is None and told["log_snr"] is None and told["step_sigma"] is None and told["t"] == 999


def test_drawn_shots_come_with_pictures_of_their_own_tensors(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film_module, "MOST_DRAWN", 3)
    seen = shots_of(engine, APPLE)
    assert [shot.k for shot in seen if shot.pictures] == [0, 2, 4]
    shot, kept = seen[2], seen[2].kept
    latents = {"x_t": kept.x_t, "x0": kept.x0, "x0_cond": clean(shot, kept.eps_cond)}
    latents["x0_uncond"] = clean(shot, kept.eps_uncond)
    for name, tensor in latents.items():
        expected = np.asarray(engine.model.preview(tensor)[0]).astype(int)
        assert np.abs(np.asarray(shot.pictures[name]).astype(int) - expected).max() <= 1, name
    for name in ("eps", "eps_cond", "eps_uncond"):
        assert np.array_equal(np.asarray(shot.pictures[name]), np.asarray(noise_picture(getattr(kept, name))))
    apart = (4 * (kept.eps_cond - kept.eps_uncond)[0, :3] / 3).clamp(-1, 1).permute(1, 2, 0).numpy()
    assert np.abs(np.asarray(shot.pictures["difference"]) / 127.5 - 1 - apart).max() <= 1 / 127


def test_each_of_two_runs_has_as_many_pictures_as_alone(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_module, "MOST_DRAWN", 3)
    drawn: list[list[int]] = [[], []]
    for i, shot in films(engine, [APPLE, APPLE.replace(num_inference_steps=9)]):
        if isinstance(shot, Shot) and shot.pictures:
            drawn[i].append(shot.k)
    assert drawn == [[0, 2, 4], [0, 3, 6]]


def test_large_pictures_are_shown_reduced_and_the_last_one_whole(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film_module, "LARGEST", 32)
    first, *_, last = film(engine, APPLE.replace(num_inference_steps=2, height=64))
    assert first.pictures["x_t"].size == first.pictures["x0_cond"].size == (32, 16)
    assert last.result.image.size == (128, 64)


def test_without_guidance_the_other_pass_is_shown_only(engine: LocalEngine) -> None:
    recipe = APPLE.replace(guidance_scale=0.5)
    kept = shots_of(engine, recipe)[1].kept
    assert not engine.facts.guided(recipe) and torch.equal(kept.eps, kept.eps_cond)
    assert not torch.allclose(kept.eps_uncond, kept.eps_cond, atol=1e-3)


def test_a_film_asks_the_network_together_with_everybody_else(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine.loop.capacity.rows, (1, 4, 16, 16), 16)
    rows = counted(engine, monkeypatch)
    rolling = films(engine, [APPLE.replace(num_inference_steps=40), APPLE.replace(num_inference_steps=50, seed=1)])
    next(rolling)
    *_, done = engine.run([APPLE.replace(num_inference_steps=4, seed=2)])
    assert np.asarray(done.result.image).any() and next(rolling)  # it was done while both films go on
    rolling.close()
    assert 4 in rows and 6 in rows and max(rows) == 6  # two rows of each run in one call


def test_a_visitor_who_asked_for_no_film_is_told_nothing_of_one(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same recipe at the same time, as a picture only: it has steps of its own, and they carry nothing."""
    recipe = APPLE.replace(num_inference_steps=30)
    rolling = film(engine, recipe)
    next(rolling)
    steps = [event for event in engine.run([recipe]) if isinstance(event, Step)]
    rolling.close()
    assert len(steps) == 30 and all(step.kept is None for step in steps)


def test_two_films_go_on_by_their_share_and_others_are_served_in_between(engine: LocalEngine) -> None:
    short, long = APPLE.replace(num_inference_steps=3), APPLE.replace(num_inference_steps=6, guidance_scale=1)
    rolling, share, ended = films(engine, [short, long]), [0.0, 0.0], []
    for turn, (i, shot) in enumerate(rolling):
        if turn == 4:
            engine.render(APPLE.replace(num_inference_steps=1))  # would hang if a film kept the engine for itself
        if isinstance(shot, Shot):
            share[i] = (shot.k + 1) / shot.of
            assert abs(share[0] - share[1]) <= 1 / 3 + 1e-9
        else:
            ended.append(i)
    assert share == [1, 1] and sorted(ended) == [0, 1]


def test_a_stopped_film_leaves_the_engine_within_a_call(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = counted(engine, monkeypatch)  # before it begins, because this waits until the engine is at rest
    rolling = film(engine, APPLE.replace(num_inference_steps=500))
    next(rolling)
    rolling.close()
    at_close = len(rows)
    while engine.loop.busy:
        time.sleep(0.01)
    calls = len(rows)
    assert calls <= at_close + 1
    engine.render(APPLE.replace(num_inference_steps=2))
    assert len(rows) == calls + 2 and calls < 100


def test_a_film_is_one_loan_of_a_zero_gpu_worker(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = [APPLE.replace(num_inference_steps=2), APPLE.replace(num_inference_steps=3, guidance_scale=1)]
    expected = list(films(engine, recipes))
    loans, worker = [], zero_gpu._on_gpu

    def lent(*asked: object) -> Iterator[object]:
        """What crosses the border to another process crosses as bytes."""
        loans.append(asked)
        yield from (pickle.loads(pickle.dumps(said)) for said in worker(*pickle.loads(pickle.dumps(asked))))

    monkeypatch.setattr(zero_gpu, "_on_gpu", lent)
    monkeypatch.setattr(zero_gpu, "ACTIVE", True)
    found = list(films(engine, recipes))
    assert len(loans) == 1
    assert [(i, type(shot), getattr(shot, "k", None)) for i, shot in found] == [
        (i, type(shot), getattr(shot, "k", None)) for i, shot in expected
    ]
    for (_, shot), (_, same) in zip(found, expected, strict=True):
        if isinstance(shot, Shot):
            assert torch.allclose(shot.kept.eps, same.kept.eps, atol=1e-4) and set(shot.pictures) == set(same.pictures)
        else:
            a, b = (np.asarray(ending.result.image).astype(int) for ending in (shot, same))
            assert np.abs(a - b).max() <= 2


def test_a_run_that_fails_ends_its_film_with_the_engines_sentence(engine: LocalEngine) -> None:
    with pytest.raises(Refusal, match="There is no LoRA named 'nope'"):
        next(film(engine, APPLE.replace(loras={"nope": 1})))


def test_films_that_cannot_be_are_refused_in_one_sentence(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refusal, match="model must be pocket"):
        check(engine, [APPLE.replace(model="../elsewhere")])
    with pytest.raises(Refusal, match="There is no LoRA named 'nope'"):
        check(engine, [APPLE.replace(loras={"nope": 1})])
    schedule = {**engine.facts.schedule, "num_train_timesteps": 100}
    with pytest.raises(Refusal, match=r"num_inference_steps is too high for ddim.*ends at 99\."):
        levels(APPLE.replace(sampler="ddim", num_inference_steps=100), schedule)
    both_passes = engine.estimate([APPLE], Keep(predictions=True))
    unguided = engine.estimate([APPLE.replace(guidance_scale=1)])
    assert both_passes > 1.5 * (unguided - engine.loop.seconds_per_decode)
    monkeypatch.setattr(film_module, "LONGEST", (unguided + both_passes) / 2)
    with pytest.raises(Refusal, match=r"This film would take about .* Use fewer steps\."):
        check_time(engine, [APPLE.replace(guidance_scale=1)])  # it is filmed with both passes
    monkeypatch.setattr(film_module, "LONGEST", 1e-6)
    with pytest.raises(Refusal, match=r"This film would take about .* Use fewer steps\."):
        check_time(engine, [APPLE])


def test_noise_is_drawn_latent_by_latent() -> None:
    eps = torch.zeros(1, 4, 2, 3)
    eps[0, 0, 0, 0], eps[0, 1, 0, 1], eps[0, 2, 1, 2], eps[0, 3] = 3.0, -7.0, 1.5, 9.0
    drawn = np.asarray(noise_picture(eps))
    assert drawn.shape == (2, 3, 3)
    assert drawn[0, 0, 0] == 255 and drawn[0, 1, 1] == 0 and drawn[1, 2, 2] == 191 and drawn[1, 0, 0] == 128
