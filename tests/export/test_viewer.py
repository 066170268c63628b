"""The exported page, opened from disk with the network off, on a large screen and on a phone."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from playground.engine import LocalEngine
from playground.export.finished import FinishedGrid
from playground.export.viewer import FRAME_BYTES, frames_each, to_html
from playground.inside.grid_steps import kept_steps
from playground.inside.recordings import Recordings
from tests.export.conftest import HOSTILE


@pytest.fixture(scope="session")
def file(table: FinishedGrid, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("viewer") / "grid.html"
    path.write_text(to_html(table), encoding="utf-8")
    return path


@pytest.fixture(params=[(1280, 900), (390, 800)], ids=["wide", "phone"])
def viewer(request: pytest.FixtureRequest, browser: Browser, file: Path) -> Iterator[Page]:
    with opened(browser, file, request.param) as page:
        yield page


@contextmanager
def opened(browser: Browser, file: Path, size: tuple[int, int]) -> Iterator[Page]:
    """The file, without a network; fails the test on any script error and on any attempt to reach one."""
    context = browser.new_context(viewport=dict(zip(("width", "height"), size, strict=True)), offline=True)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda r: faults.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert faults == []


@pytest.fixture(scope="module")
def stepped(engine: LocalEngine, table: FinishedGrid) -> FinishedGrid:
    """The same grid with the steps of its first two runs; the second has twice as many."""
    recipes = [table.recipes[0], table.recipes[1].replace(num_inference_steps=6)]
    recordings = Recordings(engine)
    for _ in recordings.record(recipes):
        pass
    steps = kept_steps(engine, recordings, [*recipes, *table.recipes[2:]])
    return replace(table, steps=steps)


def test_one_scrubber_moves_every_cell_along_its_own_run(
    browser: Browser, stepped: FinishedGrid, tmp_path: Path
) -> None:
    file = tmp_path / "steps.html"
    file.write_text(to_html(stepped), encoding="utf-8")
    with opened(browser, file, (390, 800)) as page:
        notes = page.locator("td p")
        finished = notes.all_inner_texts()
        expect(page.locator(".frame")).to_have_count(0)
        expect(page.locator("#point")).to_have_text("finished")
        page.get_by_label("Point of the run").fill("2")
        expect(page.locator(".frame")).to_have_count(2)
        expect(notes.nth(0)).to_contain_text("call 1 of 3 · t = ")
        expect(notes.nth(1)).to_contain_text("call 2 of 6 · t = ")
        expect(notes.nth(2)).to_have_text(finished[2])  # its steps are not there
        predicted = page.locator(".frame").nth(1).evaluate("e => e.style.backgroundImage")
        page.locator("#view").select_option("xt")
        noisy = page.locator(".frame").nth(1).evaluate("e => e.style.backgroundImage")
        assert predicted != noisy and noisy.startswith('url("data:image/webp')
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        address = page.url
        page.get_by_role("button", name="Swap axes").click()
        expect(page.locator(".frame")).to_have_count(2)
        page.goto("about:blank")
        page.goto(address)
        expect(page.locator("#point")).to_have_text("33 % of the run")
        expect(page.locator("#view")).to_have_value("xt")
        page.get_by_role("button", name="Play").click()
        expect(page.locator("#point")).to_have_text("finished")
        expect(page.get_by_role("button", name="Play")).to_be_visible()
        assert notes.all_inner_texts() == finished


def test_the_steps_take_no_more_room_than_is_said(stepped: FinishedGrid) -> None:
    assert [frames_each(cells) for cells in (5, 64, 256, 2048)] == [40, 16, 4, 0]
    noise = np.random.default_rng(0).integers(0, 256, (128, 128 * 4, 3), np.uint8)
    steps = replace(stepped.steps[0], x0=Image.fromarray(noise), x_t=Image.fromarray(noise))
    one, other = (len(to_html(replace(stepped, steps=s))) for s in ((), (steps, *[None] * 5)))
    assert 0 < other - one < 2 * 4 * FRAME_BYTES * 4 / 3 + len(json.dumps(steps.calls + steps.timesteps)) + 400


def test_a_file_without_steps_has_no_scrubber(viewer: Page) -> None:
    expect(viewer.locator("#steps")).to_be_hidden()


def test_axes_swap_and_the_address_brings_the_same_view_back(viewer: Page, file: Path) -> None:
    expect(viewer.locator("tbody tr")).to_have_count(2)
    expect(viewer.locator("tbody img")).to_have_count(5)
    expect(viewer.get_by_text("not drawn")).to_be_visible()
    expect(viewer.locator("tbody th").first).to_contain_text(HOSTILE)  # as text
    viewer.get_by_role("button", name="Swap axes").click()
    expect(viewer.locator("tbody tr")).to_have_count(3)
    expect(viewer.locator("tbody tr").nth(1).locator("img").first).to_have_attribute(
        "alt", f"Prompt cat, {HOSTILE}, Seed 2"
    )
    viewer.locator("tbody img").nth(1).click()
    viewer.get_by_label("Compare with").select_option("0")
    viewer.locator("#mode").select_option("difference")
    expect(viewer.locator("dialog canvas")).to_have_attribute("width", "128")
    expect(viewer.locator("#differs")).to_contain_text("They differ in: prompt")
    assert viewer.evaluate("document.documentElement.scrollWidth <= innerWidth")
    address = viewer.url
    viewer.goto("about:blank")
    viewer.goto(address)
    expect(viewer.locator("dialog canvas")).to_be_visible()
    expect(viewer.get_by_label("Compare with")).to_have_value("0")
    viewer.keyboard.press("Escape")
    expect(viewer.locator("dialog")).to_be_hidden()
    expect(viewer.locator("tbody tr")).to_have_count(3)


def test_a_slider_uncovers_the_second_picture(viewer: Page) -> None:
    viewer.locator("tbody img").first.click()
    viewer.get_by_label("Compare with").select_option("1")
    over = viewer.locator("dialog .over")
    viewer.get_by_label("How much of the second picture").fill("25")
    assert over.evaluate("e => e.style.clipPath") == "inset(0px 0px 0px 75%)"
    expect(viewer.locator("#differs")).to_have_text("They differ in: seed.")
    viewer.locator("#mode").select_option("beside")
    expect(viewer.locator("#stage img")).to_have_count(2)


def test_an_address_that_makes_no_sense_shows_the_grid(viewer: Page, file: Path) -> None:
    viewer.goto(f"{file.as_uri()}#open=99&with=x&mode=%00&tab=7&swap=2")
    expect(viewer.locator("tbody tr")).to_have_count(2)
    expect(viewer.locator("dialog")).to_be_hidden()
