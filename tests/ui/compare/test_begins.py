"""Starting from a picture, in a real browser and through the endpoint."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from playground import Recipe, Sweep, pictures
from playground.engine import LocalEngine
from playground.link import to_token
from playground.store import Store, from_png
from playground.ui.compare.begins import what_runs
from playground.ui.compare.caption import alt_of, caption
from playground.ui.compare.reading import NO_START, VALUES, read_form, values_slot
from playground.ui.compare.telling import oddities
from playground.ui.shared.samples import IMAGES
from tests.ui.compare.support import RUN_TIMEOUT, cells, field, fill, finished, run, vary

NAME = "0" * 64
BASE = Recipe(prompt="red apple, blue background", num_inference_steps=20, image=NAME, strength=0.55)
FLOWER = IMAGES / "flower.webp"


def read(**values: Any) -> Any:
    start = Recipe(prompt="cat")
    return read_form(start.to_dict() | {"columns": "seed", VALUES: {"seed": "1, 2"}, "strength": 0.8} | values, start)


def test_from_noise_the_strength_is_not_told() -> None:
    assert read(strength=0.3).sweep.base == read(image="", strength=1).sweep.base == read().sweep.base
    assert "strength" not in read(strength=0.3).sweep.base.to_dict()
    base = read(image=NAME, strength=0.3).sweep.base
    assert (base.image, base.strength, base.steps_run) == (NAME, 0.3, 6)


def test_what_is_wrong_with_the_start_stands_at_its_own_field() -> None:
    assert list(read(image="../up").errors) == ["image"]
    assert read(image=NAME, strength=0.01).errors == {
        "strength": "Strength must be at least 0.05 with 20 steps, so that one runs."
    }
    assert list(read(image=NAME, strength=float("nan")).errors) == ["strength"]
    given = {"columns": "strength", VALUES: {"strength": "0.2, 0.6"}}
    assert read(**given).errors == {values_slot("strength"): NO_START}
    assert read(image=NAME, **given).sweep.axes == {"strength": [0.2, 0.6]}
    given[VALUES] = {"strength": "0, 0.6"}
    assert list(read(image=NAME, **given).errors) == [values_slot("strength")]


def test_what_is_said_of_a_grid_from_a_picture(engine: LocalEngine) -> None:
    seeds, strengths = Sweep(BASE, {"seed": [1, 2]}), Sweep(BASE, {"strength": [0.1, 0.12, 0.5]})
    assert "from a picture, strength 0.55 (11 of 20 steps)" in caption(seeds)[-1]
    assert "from a picture" in caption(strengths)[-1] and "strength" not in caption(strengths)[-1]
    assert "from a picture at strength 0.55, 11 of 20 steps" in alt_of(BASE, "1")
    assert "picture" not in alt_of(BASE.replace(image=""), "1")
    assert what_runs(seeds, engine.facts).startswith("Noise is added to it up to t = 5")
    assert "2 of 20, 10 of 20." in what_runs(strengths, engine.facts)
    assert oddities(strengths.recipes(), engine.facts) == [
        "1 of the 3 pictures will be the same as another one: their strengths come to the same number of steps."
    ]
    noise = Sweep(Recipe(), {"strength": [0.1, 0.5]})
    assert oddities(noise.recipes(), engine.facts) == ["The strength is not used where no run starts from a picture."]


@pytest.fixture
def narrow(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(address)
    page.get_by_role("button", name="Run", exact=True).wait_for()
    yield page
    context.close()


def test_a_sample_is_chosen_its_strength_varied_and_the_link_opens_it_again(page: Page, browser: Browser) -> None:
    vary(page, "Strength")
    expect(page.locator("#error-values-strength")).to_contain_text("Choose a picture under")
    page.locator("#begins-samples .thumbnail-item").nth(3).click()  # the error has unfolded the section
    expect(page.locator("#begins-chosen")).to_contain_text(
        "of each run only the last steps are done", timeout=RUN_TIMEOUT
    )
    fill(page, "field-prompt", "rose, white background")
    fill(page, "values-strength", "0.1, 0.5")
    expect(page.locator("#cost")).to_contain_text("24 U-Net evaluations")
    run(page)
    finished(page, 2)
    expect(page.locator(".dp-began img")).to_have_js_property("naturalWidth", 128)
    expect(cells(page).locator(".dp-note")).to_contain_text(["4 evaluations", "20 evaluations"])
    page.get_by_role("button", name="Step through this grid").click()
    expect(page.locator(".dp-scrub")).to_contain_text("runs of different length", timeout=RUN_TIMEOUT)
    other = browser.new_page()
    other.goto(page.url)
    expect(cells(other, "done")).to_have_count(2)
    expect(other.locator("#begins-chosen img")).to_be_visible()
    other.locator("#begins-clear").click()
    expect(other.locator("#error-values-strength")).to_contain_text("Choose a picture under")
    other.close()


def test_ones_own_picture_is_taken_and_a_broken_one_is_refused_beside_it(narrow: Page) -> None:
    narrow.get_by_role("button", name="Start from a picture").click()
    upload = narrow.locator("#begins-own input[type=file]")
    upload.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"\x89PNG broken"})
    expect(narrow.locator("#error-begins-own")).to_contain_text("The picture file is")
    upload.set_input_files(str(FLOWER))
    expect(narrow.locator("#begins-chosen")).to_contain_text("the last 16 of 20 steps are run")
    assert field(narrow, "field-image").input_value() == pictures.digest(pictures.open_whole(FLOWER))
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_link_whose_picture_is_not_here_says_so_and_draws_nothing(page: Page, address: str) -> None:
    page.goto(f"{address}?grid={to_token(Sweep(BASE, {'seed': [1, 2]}), Recipe())}")
    expect(page.locator("#total")).to_contain_text("is not on this machine, so nothing was drawn")
    expect(cells(page, "done")).to_have_count(5)  # the page's own first grid
    expect(page.locator("#cost")).to_contain_text("5 pictures")


def test_a_program_gives_a_picture_once_and_then_its_digest(address: str, tmp_path: Path, server_store: Store) -> None:
    client = Client(address, verbose=False, download_files=str(tmp_path))
    sweep = {"base": {"prompt": "cat", "num_inference_steps": 4, "strength": 0.5}, "axes": {"seed": [1]}}
    files, told = client.predict(sweep, handle_file(str(FLOWER)), api_name="/render_grid")
    found = from_png(Path(files[0]).read_bytes()).recipe
    assert found.image == told[0]["recipe"]["image"] == pictures.digest(pictures.open_whole(FLOWER))
    assert told[0]["evaluations"] == 4 and server_store.picture(found.image) is not None
    sweep["base"] = {**sweep["base"], "image": found.image}
    again, _ = client.predict(sweep, api_name="/render_grid")
    assert np.array_equal(np.asarray(Image.open(again[0])), np.asarray(Image.open(files[0])))
