"""One's own picture by webcam and by paste, in a real browser with Chromium's test camera and a real clipboard."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from playground import pictures
from tests.ui.add_noise.tab import READY, canvas, set_t

COPY = """async () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [60, 40];
  const context = canvas.getContext("2d");
  context.fillStyle = "rgb(10, 200, 30)";
  context.fillRect(0, 0, 60, 40);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
}"""


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 1000}, permissions=["camera", "clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    page.goto(address)
    page.get_by_role("tab", name="Add noise").click()
    page.locator(READY).wait_for()
    set_t(page, 0)
    yield page
    context.close()


def taken(page: Page) -> None:
    """Wait until another picture than the sample is on the timeline."""
    expect(page.locator(".dp-samples .selected")).to_have_count(0)
    expect(page.locator(".dp-own img")).to_have_count(1)


def test_a_photo_from_the_webcam_is_noised(page: Page, tmp_path: Path) -> None:
    before = canvas(page)
    page.get_by_label("Capture from camera").click()
    page.get_by_role("button", name="Click to Access Webcam").click()
    # the button is there before the camera's first frame, and does nothing until then
    page.wait_for_function("() => [...document.querySelectorAll('video')].some(v => v.videoWidth && v.currentTime > 0)")
    page.get_by_label("capture photo").click()
    taken(page)
    photo = page.request.get(page.locator(".dp-own img").evaluate("image => image.src"))
    (tmp_path / "photo").write_bytes(photo.body())
    expected = np.asarray(pictures.open_picture(tmp_path / "photo")).astype(int)
    page.wait_for_function(
        "mean => Math.abs(document.querySelector('.dpn-picture').getContext('2d')"
        ".getImageData(128, 128, 1, 1).data[1] - mean) < 12",
        arg=int(expected[128, 128, 1]),
    )
    assert np.abs(canvas(page) - expected).mean() < 6  # t = 0 already holds a trace of noise
    assert np.abs(canvas(page) - before).mean() > 20


def test_the_way_to_the_webcam_fits_into_its_field(page: Page) -> None:
    page.get_by_label("Capture from camera").click()
    ask = page.get_by_role("button", name="Click to Access Webcam").locator("div").last.bounding_box()
    sources = page.get_by_label("Capture from camera").bounding_box()
    assert ask["y"] + ask["height"] <= sources["y"]


def test_a_picture_is_pasted_from_the_clipboard(page: Page) -> None:
    page.evaluate(COPY)
    page.get_by_label("Paste from clipboard").click()
    taken(page)
    page.wait_for_function(
        "() => document.querySelector('.dpn-picture').getContext('2d').getImageData(9, 9, 1, 1).data[0] < 40"
    )
    assert np.abs(canvas(page).mean((0, 1)) - [10, 200, 30]).max() < 15
