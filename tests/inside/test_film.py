"""The film of a run is the run itself: the engine's picture at its end, and the true x̂₀ and σ at every step."""

import io
import math
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image

from playground import Recipe
from playground.engine import Engine
from playground.export.film import sheet, to_gif, to_mp4, to_webp
from playground.inside import film as film_module
from playground.inside.film import (
    Ending,
    Frame,
    Level,
    check,
    film,
    films,
    levels,
    noise_picture,
    steps_taken,
)
from playground.inside.guidance import anatomy, numbers
from playground.models import REGISTERED
from playground.samplers import SAMPLERS

SCHEDULE = DDIMScheduler.from_pretrained(REGISTERED["pocket"], subfolder="scheduler").config
# ᾱ and σ in double precision from the published β (Stable Diffusion's scaled-linear schedule)
ALPHA_BAR = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
SIGMA = np.sqrt((1 - ALPHA_BAR) / ALPHA_BAR)
APPLE = Recipe(prompt="red apple, blue background", negative_prompt="cat", num_inference_steps=5, seed=4)


def frames_of(engine: Engine, recipe: Recipe) -> list[Frame]:
    return [shot for shot in film(engine, recipe) if isinstance(shot, Frame)]


def expected_sigma(sampler: str, frame: Frame, steps: int) -> float:
    """σ at a frame, from the table alone."""
    if sampler == "dpmpp_2m_karras":  # Karras et al. 2022, equation 5, ρ = 7
        low, high = SIGMA[0] ** (1 / 7), SIGMA[-1] ** (1 / 7)
        return float((high + frame.k / (steps - 1) * (low - high)) ** 7)
    if sampler == "dpmpp_sde" and frame.k % 2:  # half-way in log σ between two of np.linspace's timesteps
        around = np.linspace(999, 0, steps)[[frame.k // 2, frame.k // 2 + 1]]
        return float(np.exp(np.log(np.interp(around, np.arange(1000), SIGMA)).mean()))
    return float(np.interp(frame.t, np.arange(1000), SIGMA))


@pytest.mark.parametrize("key", SAMPLERS)
def test_x0_and_sigma_of_every_sampler_are_those_of_the_closed_form(engine: Engine, key: str) -> None:
    """x̂₀ = √(1+σ²)·x_t − σ·ε_θ, with ε_θ asked here once more and σ from the table above."""
    recipe, model = APPLE.replace(sampler=key), engine.model
    seen = frames_of(engine, recipe)
    assert [f.k for f in seen] == list(range(SAMPLERS[key].calls(5)))
    for frame in seen:
        sigma = expected_sigma(key, frame, 5)
        assert frame.sigma == pytest.approx(sigma, rel=2e-3)
        assert frame.log_snr == pytest.approx(-2 * math.log(sigma), abs=5e-3)
        with torch.inference_mode():
            asked = [
                model.unet(frame.x_t, torch.tensor([frame.t]), model.encode(text)).sample
                for text in (recipe.negative_prompt, recipe.prompt)
            ]
        guided = asked[0] + 5.0 * (asked[1] - asked[0])
        assert torch.allclose(frame.eps_uncond, asked[0], atol=1e-4)
        assert torch.allclose(frame.eps_cond, asked[1], atol=1e-4)
        assert torch.allclose(frame.eps, guided, atol=1e-3)
        x0 = math.sqrt(1 + sigma**2) * frame.x_t - sigma * guided
        assert torch.allclose(frame.x0, x0, rtol=1e-2, atol=1e-2 * max(1, sigma)), frame.k
        assert torch.allclose(frame.clean(frame.eps), frame.x0, atol=1e-3 * max(1, sigma))


@pytest.mark.parametrize("key", SAMPLERS)
@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
def test_the_end_of_the_film_is_the_engines_picture(engine: Engine, key: str, guidance_scale: float) -> None:
    recipe = APPLE.replace(sampler=key, guidance_scale=guidance_scale)
    *_, last = film(engine, recipe)
    assert isinstance(last, Ending)
    expected = np.asarray(engine.render(recipe).image).astype(int)
    assert np.abs(np.asarray(last.result.image).astype(int) - expected).max() <= 2
    assert last.result.recipe == recipe and last.result.evaluations == recipe.evaluations


@pytest.mark.parametrize("key", ["ddim", "euler"])
def test_each_step_of_the_plain_solvers_lands_on_the_next_frame(engine: Engine, key: str) -> None:
    """DDIM and Euler are the same walk: x_s = √ᾱ_s·x̂₀ + √(1−ᾱ_s)·ε_θ (Song et al. 2020, equation 12)."""
    seen = frames_of(engine, APPLE.replace(sampler=key))
    for frame, following in zip(seen, seen[1:], strict=False):
        alpha_bar = np.interp(following.t, np.arange(1000), SIGMA)
        alpha_bar = 1 / (1 + alpha_bar**2)
        landed = alpha_bar**0.5 * frame.x0 + (1 - alpha_bar) ** 0.5 * frame.eps
        assert torch.allclose(following.x_t, landed, atol=2e-3)
        assert frame.step_sigma == pytest.approx(following.sigma - frame.sigma)


def test_sixteen_of_thirty_two_is_not_sixteen() -> None:
    half = levels(Recipe(sampler="dpmpp_2m", num_inference_steps=32), SCHEDULE)[16]
    assert half.t == 500 and half.sigma == pytest.approx(SIGMA[500], rel=1e-4)
    assert levels(Recipe(sampler="dpmpp_2m", num_inference_steps=16), SCHEDULE)[16] == Level(None, 0.0)


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


def test_guidance_numbers_are_those_of_the_tensors(engine: Engine) -> None:
    frame = frames_of(engine, APPLE)[2]
    cond, uncond, eps = (x.numpy().astype(float).ravel() for x in (frame.eps_cond, frame.eps_uncond, frame.eps))
    parts = anatomy(frame)
    assert parts.norm_difference == pytest.approx(np.linalg.norm(cond - uncond)) and parts.norm_difference > 0.1
    assert parts.norm_eps == pytest.approx(np.linalg.norm(uncond + 5 * (cond - uncond)), rel=1e-5)
    assert parts.cosine == pytest.approx(cond @ uncond / np.linalg.norm(cond) / np.linalg.norm(uncond))
    most = np.unravel_index(np.abs(cond - uncond).argmax(), frame.eps.shape[1:])
    value = parts.largest
    assert (value.channel, value.row, value.column) == tuple(i + 1 for i in most)
    assert value.eps == pytest.approx(value.uncond + 5 * (value.cond - value.uncond), abs=1e-5)
    assert value.eps == pytest.approx(eps.reshape(frame.eps.shape[1:])[most])
    assert numbers(frame)["t"] == frame.t and set(numbers(frame)) >= {"k", "sigma", "log_snr", "cosine"}


def test_kept_frames_come_with_pictures_of_their_own_tensors(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_module, "MOST_FRAMES", 3)
    seen = frames_of(engine, APPLE)
    assert [frame.k for frame in seen if frame.pictures] == [0, 2, 4]
    shown = seen[2].pictures
    expected = np.asarray(engine.model.preview(seen[2].x0)[0]).astype(int)
    assert np.abs(np.asarray(shown["x0"]).astype(int) - expected).max() <= 1
    apart = (4 * (seen[2].eps_cond - seen[2].eps_uncond)[0, :3] / 3).clamp(-1, 1).permute(1, 2, 0).numpy()
    assert np.abs(np.asarray(shown["difference"]) / 127.5 - 1 - apart).max() <= 1 / 127


def test_without_guidance_the_other_pass_is_shown_only(engine: Engine) -> None:
    frame = frames_of(engine, APPLE.replace(guidance_scale=0.5))[1]
    assert not frame.guided and torch.equal(frame.eps, frame.eps_cond)
    assert not torch.allclose(frame.eps_uncond, frame.eps_cond, atol=1e-3)


def test_two_films_go_on_by_their_share_and_others_are_served_in_between(engine: Engine) -> None:
    short, long = APPLE.replace(num_inference_steps=3), APPLE.replace(num_inference_steps=6, guidance_scale=1)
    rolling, share = films(engine, [short, long]), [0.0, 0.0]
    for turn, (i, shot) in enumerate(rolling):
        if turn == 4:
            engine.render(APPLE.replace(num_inference_steps=1))  # would hang if a film kept the model
        if isinstance(shot, Frame):
            share[i] = (shot.k + 1) / shot.of
            assert abs(share[0] - share[1]) <= 1 / 3 + 1e-9
    assert share == [1, 1]


def test_films_that_cannot_be_are_refused_in_one_sentence(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="model must be pocket"):
        check(engine, [APPLE.replace(model="../elsewhere")])
    schedule = {**engine.model.scheduler_config, "num_train_timesteps": 100}
    with pytest.raises(ValueError, match=r"num_inference_steps is too high for ddim.*ends at 99\."):
        levels(APPLE.replace(sampler="ddim", num_inference_steps=100), schedule)
    monkeypatch.setattr(film_module, "LONGEST", 1e-6)
    with pytest.raises(ValueError, match=r"This film would take about .* Use fewer steps\."):
        check(engine, [APPLE])


def test_noise_is_drawn_latent_by_latent() -> None:
    eps = torch.zeros(1, 4, 2, 3)
    eps[0, 0, 0, 0], eps[0, 1, 0, 1], eps[0, 2, 1, 2], eps[0, 3] = 3.0, -7.0, 1.5, 9.0
    drawn = np.asarray(noise_picture(eps))
    assert drawn.shape == (2, 3, 3)
    assert drawn[0, 0, 0] == 255 and drawn[0, 1, 1] == 0 and drawn[1, 2, 2] == 191 and drawn[1, 0, 0] == 128


COLOURS = [(200, 30, 40), (30, 160, 60), (40, 50, 210)]


def three_sheets() -> list[Image.Image]:
    return [sheet([[("x_t", Image.new("RGB", (64, 64), c)), ("x0", Image.new("RGB", (128, 128), c))]]) for c in COLOURS]


@pytest.mark.parametrize(("write", "tolerance"), [(to_gif, 40), (to_webp, 12)])
def test_a_film_can_be_taken_away(write, tolerance: int) -> None:  # noqa: ANN001
    sheets = three_sheets()
    saved = Image.open(io.BytesIO(write(sheets)))
    assert saved.n_frames == 3 and saved.size == sheets[0].size and saved.info["loop"] == 0
    for i, colour in enumerate(COLOURS):
        saved.seek(i)
        pixels = np.asarray(saved.convert("RGB")).astype(int)
        for x in (60, pixels.shape[1] - 60):  # the middle of either picture
            assert np.abs(pixels[120, x] - colour).max() <= tolerance


def test_an_mp4_holds_every_frame_and_the_last_one_longer(tmp_path: Path) -> None:
    sheets = [image.resize((image.width - 1, image.height)) for image in three_sheets()]  # an odd width
    (tmp_path / "film.mp4").write_bytes(to_mp4(sheets))
    frames = imageio_ffmpeg.read_frames(str(tmp_path / "film.mp4"))
    about = next(frames)
    width, height = about["size"]
    assert (width, height) == (sheets[0].width + 1, sheets[0].height) and about["pix_fmt"].startswith("yuv420p")
    shown = [np.frombuffer(frame, np.uint8).reshape(height, width, 3).astype(int) for frame in frames]
    assert len(shown) == 2 + 2.0 / 0.2
    for pixels, colour in zip(shown, [*COLOURS, *[COLOURS[-1]] * 9], strict=True):
        assert np.abs(pixels[120, 60] - colour).max() <= 12
    with pytest.raises(ValueError, match="at least one frame"):
        to_mp4([])
