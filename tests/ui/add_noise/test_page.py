"""The "Add noise" tab in a real browser on a real server: the timeline, its numbers and its pictures."""

import re
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from playground import noise, pictures
from playground.ui.add_noise import tab as add_noise
from playground.ui.shared.samples import IMAGES
from tests.conftest import schemes
from tests.ui.add_noise.tab import DUSK, canvas, number, set_t, timeline


def test_the_skeleton_has_no_place_for_text() -> None:
    assert not re.search(r"\$\{|\{\{|`|\\", add_noise.SKELETON)


def test_the_slider_moves_the_picture_without_asking_the_server(opened: Page) -> None:
    set_t(opened, 250)
    before, requests = canvas(opened), []
    opened.on("request", lambda request: requests.append(request.url))
    timeline(opened).focus()
    for _ in range(3):
        opened.keyboard.press("ArrowRight")
    assert opened.locator("output").inner_text() == "253"
    assert timeline(opened).get_attribute("aria-valuetext").startswith("t = 253, signal 0.82")
    assert not np.array_equal(canvas(opened), before)
    opened.keyboard.press("End")
    last = noise.coefficients("scaled_linear", 999)
    assert number(opened, "signal") == pytest.approx(last.sqrt_alpha_bar, abs=5e-5)
    assert number(opened, "noise") == pytest.approx(last.sqrt_one_minus_alpha_bar, abs=5e-5)
    assert number(opened, "power") == pytest.approx(last.alpha_bar, abs=5e-5)
    assert number(opened, "snr") == pytest.approx(last.snr, abs=5e-5)
    assert number(opened, "logsnr") == pytest.approx(last.log_snr, abs=5e-3)
    assert requests == []


@pytest.mark.parametrize("t", [0, 1, 20, 354, 999])
def test_the_ratio_of_signal_and_noise_follows_from_the_digits_shown(opened: Page, t: int) -> None:
    set_t(opened, t)
    found = number(opened, "snr")
    assert found == pytest.approx((number(opened, "signal") / number(opened, "noise")) ** 2, rel=5e-4, abs=5e-5)
    assert found == pytest.approx(noise.coefficients("scaled_linear", t).snr, rel=1e-3, abs=5e-5)
    assert number(opened, "logsnr") == pytest.approx(np.log(found), abs=2e-2)


@pytest.mark.parametrize("t", [0, 354, 999])
def test_the_canvas_agrees_with_the_server(opened: Page, client: Client, t: int) -> None:
    set_t(opened, t)
    path, _ = client.predict(handle_file(str(DUSK)), t, "scaled_linear", 0, api_name="/add_noise")
    difference = np.abs(canvas(opened) - np.asarray(Image.open(path).convert("RGB")).astype(int))
    assert difference.max() <= 3  # the browser's ε is rounded to 1/32: two levels, and one for rounding


def test_the_noise_is_the_same_at_every_t(opened: Page) -> None:
    """At two values of t the noise part differs by its amplitude alone."""
    parts = []
    for t in (50, 100):
        set_t(opened, t)
        parts.append(
            (canvas(opened, "part-noise") / 127.5 - 1) / noise.coefficients("scaled_linear", t).sqrt_one_minus_alpha_bar
        )
    inside = np.abs(parts[0]) < 2.5  # not clipped in either
    assert np.abs(parts[0] - parts[1])[inside].max() < 0.05


def test_a_frame_of_the_film_strip_jumps_there(opened: Page) -> None:
    frame = opened.get_by_role("button", name="Jump to t = 800")
    frame.click()
    expect(opened.locator("output")).to_have_text("800")
    expect(timeline(opened)).to_have_value("800")
    expect(frame).to_have_attribute("aria-current", "true")
    marker = float(opened.locator(".dpn-marker").get_attribute("x1"))
    assert marker == pytest.approx(28 + 384 * 800 / 999)


def test_half_power_can_be_visited(opened: Page) -> None:
    opened.get_by_role("button", name="t = 354", exact=True).click()
    expect(opened.locator("output")).to_have_text("354")
    assert number(opened, "power") == pytest.approx(0.5, abs=2e-3)


def test_the_timeline_plays_and_pauses(opened: Page) -> None:
    set_t(opened, 250)
    opened.get_by_role("button", name="Play the timeline").click()
    expect(opened.locator("output")).not_to_have_text("250")
    opened.get_by_role("button", name="Pause the timeline").click()
    stopped = opened.locator("output").inner_text()
    opened.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert opened.locator("output").inner_text() == stopped


def test_another_schedule_changes_the_numbers_and_the_words(page: Page) -> None:
    expect(page.get_by_text("so it is not quite pure noise")).to_contain_text("ᾱ = 0.00466: 6.8 % of")
    page.get_by_role("radio", name="Linear (DDPM)", exact=True).check()
    expect(page.get_by_role("button", name="t = 258", exact=True)).to_be_visible()
    expect(page.get_by_text("as good as pure noise")).to_contain_text("ᾱ = 4.04 · 10⁻⁵: 0.64 % of")
    set_t(page, 500)
    assert number(page, "power") == pytest.approx(0.0778, abs=5e-5)


def test_another_sample_is_shown(page: Page) -> None:
    set_t(page, 0)
    before = page.locator(".dpn-picture").evaluate("canvas => canvas.toDataURL()")
    page.get_by_role("button", name="Thumbnail 6 of 6").click()
    page.wait_for_function("before => document.querySelector('.dpn-picture').toDataURL() !== before", arg=before)
    chart = np.asarray(pictures.open_picture(IMAGES / "chart.webp")).astype(int)
    assert np.abs(canvas(page) - chart).mean() < 5  # t = 0 already holds a trace of noise


def test_an_uploaded_picture_is_shown_and_the_timestep_kept(page: Page, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (250, 120, 10)).save(tmp_path / "mine.png")
    set_t(page, 10)
    page.locator("input[type=file]").set_input_files(tmp_path / "mine.png")
    expect(page.locator(".dp-samples .selected")).to_have_count(0)
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
        "Seed of ε must be from 0 to 4,294,967,295, not -4."
    )
    assert np.array_equal(canvas(page), before)
    page.get_by_label("Seed of ε").fill("12")
    page.locator('[data-ready="scaled_linear 12"]').wait_for()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert not np.array_equal(canvas(page), before)


def test_a_phone_does_not_scroll_sideways(browser: Browser, address: str) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    phone.goto(f"{address}?__theme=light")
    phone.get_by_role("tab", name="Add noise").click()
    phone.locator("[data-ready]").wait_for()
    for scheme in schemes(phone):
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390, scheme
        for part in (".dpn-picture", ".dpn-range", ".dpn-numbers", ".dpn-curve", ".dpn-strip", ".dp-samples"):
            box = phone.locator(part).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 390, (scheme, part)
    formula, root = phone.locator(".dpn-formulas"), phone.locator(".dpn-root").last
    for width in range(60, 390, 6):  # wherever the line ends, it is not under a root
        formula.evaluate("(formula, width) => { formula.style.width = `${width}px` }", width)
        assert root.evaluate("root => root.getClientRects().length") == 1, width
    phone.close()


def test_zero_terminal_snr_is_a_schedule_like_the_others(page: Page) -> None:
    page.get_by_role("radio", name="Zero terminal SNR").check()
    page.locator('[data-ready="zero_snr 0"]').wait_for()
    set_t(page, 999)
    expect(page.get_by_text("At t = 999 ᾱ = 0: nothing of the picture is left.")).to_be_visible()
    expect(page.locator('[data-show="logsnr"]')).to_have_text("−∞")
    for name in ("power", "snr"):
        expect(page.locator(f'dd[data-show="{name}"]')).to_have_text("0")


def test_the_timeline_ends_in_noise_where_the_schedule_does(page: Page) -> None:
    ends = page.locator(".dpn-timeline .dp-ends span")
    expect(ends).to_have_text(["0, nearly the picture", "999, nearly noise"])
    for schedule in ("Zero terminal SNR", "Flow matching"):
        page.get_by_role("radio", name=schedule).check()
        expect(ends).to_have_text(["0, nearly the picture", "999, noise"])
