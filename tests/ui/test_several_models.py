"""Two models behind one server: both are listed, each has its page, and pictures of both are kept."""

import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gradio.http_server import start_server
from gradio_client import Client
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from playground import Recipe, Sweep, open_engine
from playground.engine import House, LocalEngine, Result, Step, Waiting
from playground.export.reading import read_picture
from playground.sources.given import source
from playground.store import Store, to_png
from playground.ui.compare.grid import empty, folded
from playground.ui.compare.telling import progress
from playground.ui.models import ModelList
from playground.ui.site import build_site
from tests.models.tiny import build

FIRST, SECOND = "sd15-tiny", "turbo-tiny"
PATIENCE = 120_000  # ms


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("models")
    sources = [source(build(kind, folder)) for kind in (FIRST, SECOND)]
    (sources[1].path / "README.md").write_text("---\nlicense: openrail++\n---\n")
    house = House(lambda which: open_engine(which, torch.device("cpu"), torch.float32, "torch"))
    with closing(Store(tmp_path_factory.mktemp("cells"))) as store, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        site = build_site(house, sources, store)
        *_, url, running = start_server(site)
        yield url
        running.close()
    house.close()


def opened(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Run", exact=True).wait_for(timeout=PATIENCE)


def run(page: Page) -> None:
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#total")).to_contain_text(re.compile(r"(\d+) of \1 pictures"), timeout=PATIENCE)


def test_one_model_after_the_other_draws_and_both_grids_are_kept(browser: Browser, server: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    opened(page, server)
    models = page.get_by_role("navigation", name="Models").get_by_role("link")
    expect(models).to_have_count(2)
    expect(models.nth(1)).to_contain_text("Stable Diffusion · 0.4 M parameters · made for 64 × 64")
    expect(models.nth(1)).to_contain_text("openrail++")
    expect(models.nth(0)).to_have_attribute("aria-current", "page")
    run(page)

    expect(page.get_by_text("Your grids (1)")).to_be_visible()

    models.nth(1).click()
    expect(page.locator(".dp-head")).to_contain_text(f"{SECOND} ·", timeout=PATIENCE)
    expect(page.locator(".dp-past")).to_be_hidden()  # those of the first would mean something else here
    expect(page.locator(".dp-head")).to_contain_text("not in memory now")
    expect(models.nth(1)).to_have_attribute("aria-current", "page")
    run(page)
    expect(page.locator(".dp-head")).to_contain_text("PyTorch")
    token = re.search(r"grid=(.+)", page.url).group(1)

    opened(page, f"{server}m/{SECOND}?grid={token}")  # also without the slash
    expect(page.locator("#compare-grid .dp-cell img").first).to_be_visible()
    models.nth(0).click()
    expect(page.locator(".dp-head")).to_contain_text("not in memory now", timeout=PATIENCE)
    expect(page.locator("#compare-grid .dp-cell img").first).to_be_visible()  # kept from before the switch
    page.close()
    assert faults == []


def test_a_recipe_of_another_listed_model_says_where_it_is(server: str, tmp_path: Path) -> None:
    first, second = (
        Client(address, verbose=False, download_files=str(tmp_path)) for address in (server, f"{server}m/{SECOND}/")
    )
    sweep = {"base": {"prompt": "cat", "num_inference_steps": 1}, "axes": {"seed": [1, 2]}}
    files, cells = second.predict(sweep, api_name="/render_grid")
    assert {cell["recipe"]["model"] for cell in cells} == {SECOND} and len(files) == 2
    with pytest.raises(Exception, match=f"model must be {FIRST} on this page; {SECOND} has its own: /m/{SECOND}/"):
        first.predict(sweep | {"base": {"model": SECOND}}, api_name="/render_grid")


def test_a_grid_that_waits_for_its_model_says_how_far_that_is() -> None:
    waiting = empty(Sweep(Recipe(), {"seed": [1, 2]}))
    told = folded(waiting, Waiting(0, None, "turbo-tiny is being read into memory: 3 of about 8 s."))
    assert progress(told, time.perf_counter()) == "turbo-tiny is being read into memory: 3 of about 8 s."
    assert progress(folded(told, Step(0, 1, 20, None)), time.perf_counter()).startswith("0 of 2 finished")


def test_a_picture_of_another_listed_model_names_its_page(engine: LocalEngine) -> None:
    facts = replace(engine.facts, others={SECOND: f"/m/{SECOND}/"})
    drawn = Result(Image.new("RGB", (64, 64)), Recipe(model=SECOND, width=64, height=64), 1.0, 20)
    restored = read_picture(to_png(drawn), facts)
    assert f"It was drawn by {SECOND}, whose page is /m/{SECOND}/; here pocket draws" in " ".join(restored.sentences)


def test_addresses_are_plain_and_differ() -> None:
    models = ModelList(["pocket", "my model", "my-model", "größe"])
    assert [models.address(name) for name in models.names] == ["/", "/m/my-model", "/m/my-model-2", "/m/gr--e"]
