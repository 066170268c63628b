"""The "Add noise" tab in a real browser on a real server, and /add_noise through gradio_client."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from playground import noise, pictures
from playground.engine import Engine
from playground.inside import latent_noise
from playground.ui import add_noise, add_noise_schedules
from tests.conftest import one_tab

DUSK = add_noise.EXAMPLES / "dusk.webp"


@pytest.fixture(scope="module")
def address(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with one_tab("Add noise", lambda: add_noise.build(engine), tmp_path_factory.mktemp("gradio")) as url:
        yield url


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if "js_on_load" in line.text else None)
    page.goto(address)
    page.get_by_role("tab", name="Add noise").click()
    page.locator('[data-ready="scaled_linear 0"]').wait_for()
    yield page
    page.close()
    assert not faults


def canvas(page: Page, name: str = "picture") -> np.ndarray:
    """-> what the visitor sees, (H, W, 3)"""
    url = page.locator(f"canvas.dpn-{name}").evaluate("canvas => canvas.toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB")).astype(int)


def timeline(page: Page):
    return page.get_by_role("slider", name="Timestep t")


def number(page: Page, name: str) -> float:
    return float(page.locator(f'dd[data-show="{name}"]').inner_text().replace("−", "-"))


def set_t(page: Page, t: int) -> None:
    timeline(page).evaluate("(slider, t) => { slider.value = t; slider.dispatchEvent(new Event('input')) }", t)


# the endpoint


def test_the_endpoint_gives_the_picture_and_the_coefficients(address: str) -> None:
    client = Client(address, verbose=False)
    path, numbers = client.predict(handle_file(str(DUSK)), 400, "linear", 7, api_name="/add_noise")
    assert numbers == vars(noise.coefficients("linear", 400))
    x0 = pictures.to_x0(pictures.open_picture(DUSK))
    expected = pictures.from_x0(noise.add_noise(x0, noise.noise_like(x0.shape, 7), 400, "linear"))
    assert np.array_equal(np.asarray(Image.open(path).convert("RGB")), np.asarray(expected))


def test_only_the_endpoint_is_public(address: str) -> None:
    endpoints = Client(address, verbose=False).view_api(return_format="dict", print_info=False)
    assert list(endpoints["named_endpoints"]) == ["/add_noise"]
    parameters = endpoints["named_endpoints"]["/add_noise"]["parameters"]
    assert [parameter["parameter_name"] for parameter in parameters] == ["picture", "t", "schedule", "seed"]


@pytest.mark.parametrize(
    ("t", "schedule", "seed", "sentence"),
    [
        (1000, "linear", 0, "t must be a whole number from 0 to 999."),
        (2.5, "linear", 0, "t must be a whole number from 0 to 999."),
        (True, "linear", 0, "t must be a whole number from 0 to 999."),
        (5, "sigmoid", 0, "schedule must be one of scaled_linear, linear, cosine."),
        (5, "linear", -1, "seed must be a whole number from 0 to 4294967295."),
    ],
)
def test_the_endpoint_refuses_in_one_sentence(address: str, t: object, schedule: str, seed: int, sentence: str) -> None:
    with pytest.raises(AppError, match=re.escape(sentence)):
        Client(address, verbose=False).predict(handle_file(str(DUSK)), t, schedule, seed, api_name="/add_noise")


def test_the_endpoint_refuses_what_is_not_a_picture(address: str, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("not a picture")
    with pytest.raises(AppError, match="is not a PNG"):
        Client(address, verbose=False).predict(
            handle_file(str(tmp_path / "notes.png")), 5, "linear", 0, api_name="/add_noise"
        )


# the page


def test_the_skeleton_has_no_place_for_text() -> None:
    assert not re.search(r"\$\{|\{\{|`|\\", add_noise.SKELETON)


def test_the_slider_moves_the_picture_without_asking_the_server(page: Page) -> None:
    before, requests = canvas(page), []
    page.on("request", lambda request: requests.append(request.url))
    timeline(page).focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.locator("output").inner_text() == "253"
    assert timeline(page).get_attribute("aria-valuetext").startswith("t = 253, signal 0.82")
    assert not np.array_equal(canvas(page), before)
    page.keyboard.press("End")
    last = noise.coefficients("scaled_linear", 999)
    assert number(page, "signal") == pytest.approx(last.sqrt_alpha_bar, abs=5e-5)
    assert number(page, "noise") == pytest.approx(last.sqrt_one_minus_alpha_bar, abs=5e-5)
    assert number(page, "power") == pytest.approx(last.alpha_bar, abs=5e-5)
    assert number(page, "snr") == pytest.approx(last.snr, abs=5e-5)
    assert number(page, "logsnr") == pytest.approx(last.log_snr, abs=5e-3)
    assert requests == []


@pytest.mark.parametrize("t", [0, 354, 999])
def test_the_canvas_agrees_with_the_server(page: Page, address: str, t: int) -> None:
    set_t(page, t)
    path, _ = Client(address, verbose=False).predict(
        handle_file(str(DUSK)), t, "scaled_linear", 0, api_name="/add_noise"
    )
    difference = np.abs(canvas(page) - np.asarray(Image.open(path).convert("RGB")).astype(int))
    assert difference.max() <= 3  # the browser's ε is rounded to 1/32: two levels, and one for rounding


def test_the_noise_is_the_same_at_every_t(page: Page) -> None:
    """At two values of t the noise part differs by its amplitude alone."""
    parts = []
    for t in (50, 100):
        set_t(page, t)
        parts.append(
            (canvas(page, "part-noise") / 127.5 - 1) / noise.coefficients("scaled_linear", t).sqrt_one_minus_alpha_bar
        )
    inside = np.abs(parts[0]) < 2.5  # not clipped in either
    assert np.abs(parts[0] - parts[1])[inside].max() < 0.05


def test_a_frame_of_the_film_strip_jumps_there(page: Page) -> None:
    frame = page.get_by_role("button", name="Jump to t = 800")
    frame.click()
    expect(page.locator("output")).to_have_text("800")
    expect(timeline(page)).to_have_value("800")
    expect(frame).to_have_attribute("aria-current", "true")
    marker = float(page.locator(".dpn-marker").get_attribute("x1"))
    assert marker == pytest.approx(28 + 384 * 800 / 999)


def test_half_power_can_be_visited(page: Page) -> None:
    page.get_by_role("button", name="t = 354", exact=True).click()
    expect(page.locator("output")).to_have_text("354")
    assert number(page, "power") == pytest.approx(0.5, abs=2e-3)


def test_the_timeline_plays_and_pauses(page: Page) -> None:
    page.get_by_role("button", name="Play the timeline").click()
    expect(page.locator("output")).not_to_have_text("250")
    page.get_by_role("button", name="Pause the timeline").click()
    stopped = page.locator("output").inner_text()
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.locator("output").inner_text() == stopped


def test_another_schedule_changes_the_numbers_and_the_words(page: Page) -> None:
    expect(page.get_by_text("so it is not quite pure noise")).to_contain_text("ᾱ = 0.0047")
    page.get_by_role("radio", name="Linear (DDPM)", exact=True).check()
    expect(page.get_by_role("button", name="t = 258", exact=True)).to_be_visible()
    expect(page.get_by_text("as good as pure noise")).to_be_visible()
    set_t(page, 500)
    assert number(page, "power") == pytest.approx(0.0778, abs=5e-5)


def test_another_sample_is_shown(page: Page) -> None:
    set_t(page, 0)
    before = page.locator(".dpn-picture").evaluate("canvas => canvas.toDataURL()")
    page.get_by_role("button", name="Thumbnail 6 of 6").click()
    page.wait_for_function("before => document.querySelector('.dpn-picture').toDataURL() !== before", arg=before)
    chart = np.asarray(pictures.open_picture(add_noise.EXAMPLES / "chart.webp")).astype(int)
    assert np.abs(canvas(page) - chart).mean() < 5  # t = 0 already holds a trace of noise


def test_an_uploaded_picture_is_shown_and_the_timestep_kept(page: Page, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (250, 120, 10)).save(tmp_path / "mine.png")
    set_t(page, 10)
    page.locator("input[type=file]").set_input_files(tmp_path / "mine.png")
    expect(page.locator(".dpn-samples .selected")).to_have_count(0)
    page.wait_for_function(
        "() => document.querySelector('.dpn-picture').getContext('2d').getImageData(9, 9, 1, 1).data[2] < 90"
    )
    assert np.abs(canvas(page).mean((0, 1)) - [250, 120, 10]).max() < 15
    expect(timeline(page)).to_have_value("10")


def test_a_text_file_is_refused_beside_the_field_and_the_picture_stays(page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("not a picture")
    before = canvas(page)
    page.locator("input[type=file]").set_input_files(tmp_path / "notes.png")
    error = page.locator(".dp-error").get_by_role("alert")
    expect(error).to_have_text("The picture file is not a PNG, JPEG, WebP, GIF, BMP or TIFF picture.")
    assert np.array_equal(canvas(page), before)


def test_a_bad_seed_is_refused_under_its_field_and_the_picture_stays(page: Page) -> None:
    before = canvas(page)
    page.get_by_label("Seed of ε").fill("-4")
    expect(page.locator(".dp-error").get_by_role("alert")).to_have_text(
        "seed must be a whole number from 0 to 4294967295."
    )
    assert np.array_equal(canvas(page), before)
    page.get_by_label("Seed of ε").fill("12")
    page.locator('[data-ready="scaled_linear 12"]').wait_for()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert not np.array_equal(canvas(page), before)


def test_the_walk_is_shown_beside_the_jump(page: Page) -> None:
    set_t(page, 40)
    page.get_by_role("button", name="Walk to this t").click()
    expect(page.locator(".dpn-compare figure")).to_have_count(2)
    expect(page.locator(".dpn-compare")).to_contain_text("41 steps")
    measured = [float(text) for text in re.findall(r"signal (\d\.\d+)", page.locator(".dpn-compare").inner_text())]
    assert measured == pytest.approx([noise.coefficients("scaled_linear", 40).sqrt_alpha_bar] * 3, abs=0.02)


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


def test_the_histogram_holds_the_values_that_are_shown(page: Page) -> None:
    x0 = pictures.to_x0(pictures.open_picture(DUSK))
    epsilon = noise.noise_like(x0.shape, 0)
    for t in (0, 999):
        set_t(page, t)
        x = noise.add_noise(x0, epsilon, t, "scaled_linear")
        shown = {name: page.locator(f'.dpn-values [data-show="{name}"]').inner_text() for name in ("mean", "variance")}
        assert float(shown["mean"].replace("−", "-")) == pytest.approx(x.mean().item(), abs=2e-3)
        assert float(shown["variance"]) == pytest.approx(x.var().item(), abs=3e-3)
    expect(page.locator(".dpn-values")).to_contain_text("196,608 values")


def test_latents_are_noised_like_pixels(page: Page, engine: Engine) -> None:
    page.get_by_role("radio", name="Latents").check()
    page.locator('[data-ready="scaled_linear 0 latents"]').wait_for()
    set_t(page, 400)
    expect(page.locator(".dpn-decoded")).to_have_text("decoded at t = 400, the nearest of 21 that the VAE decoded")
    small = pictures.open_picture(DUSK).resize((128, 128), Image.Resampling.LANCZOS)
    x0 = latent_noise.encode_picture(engine, small)
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


def test_a_samplers_timesteps_are_marked(page: Page, engine: Engine) -> None:
    marks = page.locator(".dpn-marks span")
    expect(marks).to_have_count(20)
    page.get_by_label("Steps").fill("5")
    expect(marks).to_have_count(5)
    shown = [float(mark.evaluate("m => m.style.left").rstrip("%")) * 9.99 for mark in marks.all()]
    assert shown == pytest.approx([801, 601, 401, 201, 1], abs=0.01)  # diffusers' DDIM with steps_offset 1
    page.get_by_label("Steps").fill("0")
    expect(page.get_by_role("alert")).to_have_text("num_inference_steps must be from 1 to 1,000, not 0.")
    expect(marks).to_have_count(5)


def test_schedules_are_overlaid(page: Page) -> None:
    rows = page.locator(".dpn-facts tbody tr")
    expect(rows).to_have_count(5)
    expect(rows.nth(0)).to_contain_text("354")
    expect(rows.nth(1)).to_contain_text("258")
    expect(rows.nth(3)).to_contain_text("nothing: pure noise")
    assert set(add_noise_schedules.table("log SNR").schedule) == set(add_noise_schedules.COLOURS)
    page.get_by_role("radio", name="log SNR").check()
    expect(page.locator(".dpn-schedule-plot").get_by_text("log SNR").first).to_be_visible()  # the axis


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_does_not_scroll_sideways(browser: Browser, address: str, theme: str) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    phone.goto(f"{address}?__theme={theme}")
    phone.get_by_role("tab", name="Add noise").click()
    phone.locator("[data-ready]").wait_for()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    for part in (".dpn-picture", ".dpn-range", ".dpn-numbers", ".dpn-curve", ".dpn-strip", ".dpn-samples"):
        box = phone.locator(part).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390, part
    phone.close()
