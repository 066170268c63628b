"""The exported page, opened from disk with the network off, on a large screen and on a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from playground.export.finished import FinishedGrid
from playground.export.viewer import to_html
from tests.export.conftest import HOSTILE


@pytest.fixture(scope="session")
def file(table: FinishedGrid, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("viewer") / "grid.html"
    path.write_text(to_html(table), encoding="utf-8")
    return path


@pytest.fixture(params=[(1280, 900), (390, 800)], ids=["wide", "phone"])
def viewer(request: pytest.FixtureRequest, browser: Browser, file: Path) -> Iterator[Page]:
    context = browser.new_context(viewport=dict(zip(("width", "height"), request.param, strict=True)), offline=True)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda r: faults.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert faults == []


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
