"""The sections under the timeline of "Add noise": walk, histogram, latents, a sampler's marks, schedules."""

import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from playground import noise, pictures
from playground.engine import Encode, LocalEngine
from playground.ui.add_noise import schedules as add_noise_schedules
from playground.ui.add_noise.walk import compare
from tests.ui.add_noise.tab import DUSK, canvas, set_t


def test_the_walk_is_shown_beside_the_jump(page: Page) -> None:
    set_t(page, 40)
    page.get_by_role("button", name="Walk to this t").click()
    expect(page.locator(".dpn-compare figure")).to_have_count(2)
    expect(page.locator(".dpn-compare")).to_contain_text("41 steps")
    measured = [float(text) for text in re.findall(r"signal (\d\.\d+)", page.locator(".dpn-compare").inner_text())]
    assert measured == pytest.approx([noise.coefficients("scaled_linear", 40).sqrt_alpha_bar] * 3, abs=0.02)


def test_a_walk_writes_its_numbers_as_the_page_does() -> None:
    """Where the formula leaves nothing of the picture, half of all draws measure less than nothing."""
    told = "".join(compare(999, pictures.open_picture(DUSK), "zero_snr", seed) for seed in range(3))
    assert "<span>1,000 steps, " in told and "<span>signal −0.0" in told and "signal -" not in told


def test_jump_and_walk_are_held_against_the_formula(page: Page) -> None:
    set_t(page, 300)
    page.get_by_role("button", name="Walk to this t").click()
    rows = page.locator(".dpn-agreement tbody tr")
    expect(rows).to_have_count(3)
    cells = [[cell.replace("−", "-") for cell in rows.nth(i).locator("td").all_inner_texts()] for i in range(3)]
    n, expected = 3 * 128 * 128, 1 - noise.coefficients("scaled_linear", 300).alpha_bar
    assert float(cells[0][2]) == pytest.approx(expected, abs=5e-5)
    assert float(cells[0][3].removeprefix("± ")) == pytest.approx(expected * (2 / n) ** 0.5, abs=6e-5)
    for mean, _, variance, _ in cells[1:]:
        assert float(mean) == pytest.approx(0, abs=4 * (expected / n) ** 0.5)
        assert float(variance) == pytest.approx(expected, abs=4 * expected * (2 / n) ** 0.5)


def test_the_histogram_holds_the_values_that_are_shown(opened: Page) -> None:
    x0 = pictures.to_x0(pictures.open_picture(DUSK))
    epsilon = noise.noise_like(x0.shape, 0)
    for t in (0, 999):
        set_t(opened, t)
        x = noise.add_noise(x0, epsilon, t, "scaled_linear")
        values = opened.locator(".dpn-values")
        shown = {name: values.locator(f'[data-show="{name}"]').inner_text() for name in ("mean", "variance")}
        assert float(shown["mean"].replace("−", "-")) == pytest.approx(x.mean().item(), abs=2e-3)
        assert float(shown["variance"]) == pytest.approx(x.var().item(), abs=3e-3)
    expect(opened.locator(".dpn-values")).to_contain_text("196,608 values")


def test_latents_are_noised_like_pixels(page: Page, engine: LocalEngine) -> None:
    page.get_by_role("radio", name="Latents").check()
    page.locator('[data-ready="scaled_linear 0 latents"]').wait_for()
    set_t(page, 400)
    expect(page.locator(".dpn-decoded")).to_have_text("decoded at t = 400, the nearest of 21 that the VAE decoded")
    small = pictures.open_picture(DUSK).resize((128, 128), Image.Resampling.LANCZOS)
    (answer,) = engine.ask([Encode(small)])
    x0 = answer.value
    x_t = noise.add_noise(x0, noise.noise_like(x0.shape, 0), 400, "scaled_linear")
    decoded = np.asarray(engine.model.decode(x_t)[0]).astype(int)
    assert np.abs(canvas(page) - decoded).mean() < 6  # sent as WebP
    tiles = canvas(page, "part-sum")[..., 0]
    assert tiles.shape == (33, 33)  # four channels of 16 × 16 and a gap
    levels = ((x_t[0, 3] / 3 + 1) * 127.5).clamp(0, 255).numpy()
    assert np.abs(tiles[17:, 17:] - levels).max() <= 1
    page.get_by_role("radio", name="Pixels").check()
    page.locator('[data-ready="scaled_linear 0"]').wait_for()
    expect(page.locator(".dpn-part-sum")).to_be_hidden()
    assert canvas(page).shape == (256, 256, 3)


def test_a_samplers_timesteps_are_marked(page: Page) -> None:
    marks = page.locator(".dpn-marks span")
    expect(marks).to_have_count(20)
    page.get_by_label("Steps").fill("5")
    expect(marks).to_have_count(5)
    shown = [float(mark.evaluate("m => m.style.left").rstrip("%")) * 9.99 for mark in marks.all()]
    assert shown == pytest.approx([801, 601, 401, 201, 1], abs=0.01)  # diffusers' DDIM with steps_offset 1
    page.get_by_label("Steps").fill("0")
    expect(page.get_by_role("alert")).to_have_text("Steps must be from 1 to 1,000, not 0.")
    expect(marks).to_have_count(5)


def test_schedules_are_overlaid(page: Page) -> None:
    rows = page.locator(".dpn-facts tbody tr")
    expect(rows).to_have_count(5)
    expect(rows.nth(0)).to_contain_text("354")
    expect(rows.nth(1)).to_contain_text("258")
    expect(rows.nth(3)).to_contain_text("nothing: pure noise")
    assert set(add_noise_schedules.table("log SNR").schedule) == set(add_noise_schedules.COLOURS)
    page.get_by_role("radio", name="log SNR").check()
    expect(page.locator(".dpn-schedule-plot").get_by_text("log SNR").first).to_be_visible(timeout=30_000)  # the axis
