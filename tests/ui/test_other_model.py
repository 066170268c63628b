"""The whole page with a model that is not called pocket: every tab and every endpoint, in its own size and settings."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, Page, expect

from playground import open_engine
from playground.engine import LocalEngine
from playground.store import Store
from playground.ui.shared.shipped import EXAMPLES
from tests.conftest import whole_page
from tests.models.tiny import SIDES, build

KIND = "sd21-tiny"
SIDE = SIDES[KIND]
PATIENCE = 120_000  # ms


@pytest.fixture(scope="module")
def other_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    engine = open_engine(build(KIND, tmp_path_factory.mktemp("models")), torch.device("cpu"), torch.float32)
    engine.warm_up()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def server(other_engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with closing(Store(tmp_path_factory.mktemp("cells"))) as store:
        with whole_page(other_engine, store, tmp_path_factory.mktemp("gradio")) as url:
            yield url


@pytest.fixture
def page(browser: Browser, server: str) -> Iterator[Page]:
    """A fresh visit; fails the test on any script error, and where anything is said about another model."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(server)
    page.get_by_role("button", name="Run", exact=True).wait_for(timeout=PATIENCE)
    yield page
    assert "judge" not in page.locator("body").inner_text().lower()
    page.close()
    assert faults == []


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def test_compare_opens_with_its_own_grid_and_draws_it(page: Page) -> None:
    expect(page.locator(".dp-head")).to_contain_text("sd21-tiny", ignore_case=True)
    cells = page.locator("#compare-grid .dp-cell")
    expect(cells.nth(1)).to_be_visible(timeout=PATIENCE)  # never an empty page
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#total")).to_contain_text(re.compile(r"(\d+) of \1 pictures"), timeout=PATIENCE)
    for picture in cells.locator("img").all():
        assert picture.evaluate("i => i.complete && i.naturalWidth") == SIDE
    assert not re.search("pocket", page.locator("#compare-grid").inner_html(), re.I)


def test_every_example_of_it_runs(page: Page) -> None:
    chips = page.locator(".dp-examples button")
    assert chips.count() >= 4
    for i in range(chips.count()):
        chips.nth(i).click()
        expect(page.locator("#compare-grid .dp-cell[data-state=done]").first).to_be_visible(timeout=PATIENCE)
        expect(page.locator("#total")).to_contain_text(re.compile(r"(\d+) of \1 pictures"), timeout=PATIENCE)
        expect(page.locator("[role=alert]:visible")).to_have_count(0)


def test_add_noise_shows_its_latents(page: Page) -> None:
    tab(page, "Add noise")
    page.locator(".dpn-range").wait_for(timeout=PATIENCE)
    page.get_by_role("radio", name="Latents").check()
    expect(page.get_by_text(f"than its {SIDE} × {SIDE} pixels")).to_be_visible(timeout=PATIENCE)


def test_predict_noise_asks_it_and_lets_it_guess(page: Page) -> None:
    tab(page, "Predict noise")
    page.locator(".dpp-found b").first.wait_for(timeout=PATIENCE)
    page.get_by_role("button", name="Let it guess from here").click()
    page.locator(".dpp-result figure").nth(1).wait_for(timeout=PATIENCE)


def test_denoise_films_it(page: Page) -> None:
    tab(page, "Denoise")
    page.locator('.dpd[data-state="done"]').wait_for(timeout=PATIENCE)
    page.locator("#denoise-run").click()
    page.locator('.dpd[data-state="done"]').wait_for(timeout=PATIENCE)
    expect(page.locator("[role=alert]:visible")).to_have_count(0)


def test_inside_walks_and_looks(page: Page) -> None:
    tab(page, "Inside")
    page.locator("#inside-diagram .dpi").wait_for(timeout=PATIENCE)
    page.locator("#inside-run").click()
    page.locator('#inside-diagram [data-state="done"]').wait_for(timeout=PATIENCE)
    page.locator("#inside-look").click()
    page.locator(".dpi-maps").wait_for(timeout=PATIENCE)


def test_lessons_run_in_its_own_settings_and_show_nothing_that_it_did_not_draw(page: Page) -> None:
    tab(page, "Lessons")
    page.locator(".dpl-lesson select").select_option("07-words", timeout=PATIENCE)
    expect(page.locator(".dp-asking h2")).to_have_text("Where a word looks", timeout=PATIENCE)
    expect(page.get_by_role("button", name="Show pictures drawn earlier")).to_have_count(0)
    page.locator(".dpl-progress button").nth(2).click()
    page.get_by_role("radio", name="red background").check(timeout=PATIENCE)
    page.get_by_role("button", name="Run it yourself").click()
    expect(page.locator(".dp-feedback")).to_be_visible(timeout=PATIENCE)
    for picture in page.locator("#lesson-stage img").all():
        assert picture.evaluate("i => i.complete && i.naturalWidth") == SIDE


def test_every_endpoint_answers_without_being_told_model_or_size(server: str, tmp_path: Path) -> None:
    client = Client(server, verbose=False, download_files=str(tmp_path))
    sweep = {"base": {"prompt": "cat", "num_inference_steps": 3}, "axes": {"seed": [1, 2]}}
    files, cells = client.predict(sweep, api_name="/render_grid")
    assert len(files) == 2 and {(c["recipe"]["model"], c["recipe"]["width"]) for c in cells} == {(KIND, SIDE)}
    recipe = {"prompt": "cat", "num_inference_steps": 2}
    _, told = client.predict(recipe, api_name="/denoise")
    assert told["recipe"]["model"] == KIND and len(told["steps"]) == 2
    report, _ = client.predict(recipe, api_name="/inspect_prompt")
    assert report["recipe"]["width"] == SIDE
    picture = handle_file(str(EXAMPLES / "images" / "flower.webp"))
    _, numbers = client.predict(picture, "flower", 500, 0, 4, "ddim", api_name="/predict_noise")
    assert numbers["values"] == 4 * (SIDE // 8) ** 2 and numbers["guess"]["timesteps"]
    _, coefficients = client.predict(picture, 400, "linear", 0, api_name="/add_noise")
    assert 0 < coefficients["alpha_bar"] < 1
    with pytest.raises(Exception, match="model must be sd21-tiny"):
        client.predict(sweep | {"base": {"model": "pocket"}}, api_name="/render_grid")
