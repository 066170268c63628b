"""Taking away and bringing back, in a real browser."""

import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from playground import Recipe, Sweep
from playground.engine import LocalEngine
from playground.export.parameters import to_parameters
from playground.export.reading import read_picture
from playground.ui.shared.shipped import examples
from tests.export.test_documents import _png

TIMEOUT = 120_000  # ms; other work may share the machine


def unfold(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def made(page: Page, folder: Path, button: str) -> Path:
    page.get_by_role("button", name=button, exact=True).click()
    link = page.locator("#files a[download]").first
    link.wait_for(timeout=TIMEOUT)
    with page.expect_download() as download:
        link.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_the_grid_and_a_cell_are_taken_away_and_brought_back(page: Page, engine: LocalEngine, tmp_path: Path) -> None:
    start = examples()[0].sweep
    unfold(page, "Take away, or bring back")
    sheet = made(page, tmp_path, "Make the file")
    assert read_picture(sheet.read_bytes(), engine.facts).sweep == start
    page.locator("#cell-kind").get_by_label("Python with diffusers").check()
    page.get_by_role("button", name="Make its file").click()
    expect(page.locator("#files")).to_contain_text(re.compile(r"picture\s*\.py"), timeout=TIMEOUT)
    page.get_by_role("button", name="Make it again and compare").click()
    expect(page.locator("#taken")).to_contain_text("Made again in", timeout=TIMEOUT)
    page.get_by_role("button", name="Steps", exact=True).click()  # another grid, of which they are not
    expect(page.locator("#files")).to_be_hidden(timeout=TIMEOUT)
    expect(page.locator("#taken")).to_have_text("")

    foreign = Recipe(prompt="dog, green background", sampler="euler", num_inference_steps=9, seed=77)
    data = _png(parameters=to_parameters(foreign) + ", Hires upscale: 2")
    upload = page.locator("#restore input[type=file]")
    upload.set_input_files({"name": "theirs.png", "mimeType": "image/png", "buffer": data})
    expect(page.locator("#taken")).to_contain_text("Had no place here: Hires upscale 2", timeout=TIMEOUT)
    expect(page.locator("#field-prompt textarea, #field-prompt input").first).to_have_value("dog, green background")


def test_a_json_fills_the_form_and_a_damaged_file_changes_nothing(page: Page) -> None:
    unfold(page, "Take away, or bring back")
    sweep = Sweep(Recipe(prompt="panda, red background"), {"num_inference_steps": [3, 6, 9]})
    text = json.dumps({"sweep": sweep.to_dict()}).encode()
    upload = page.locator("#restore input[type=file]")
    upload.set_input_files({"name": "mine.json", "mimeType": "application/json", "buffer": text})
    prompt = page.locator("#field-prompt textarea, #field-prompt input").first
    expect(prompt).to_have_value("panda, red background", timeout=TIMEOUT)
    expect(page.locator("#cost")).to_contain_text("3 pictures", timeout=TIMEOUT)
    page.locator("#restore").get_by_label("Clear").or_(
        page.locator("#restore button[aria-label*=Remove]")
    ).first.click()
    upload.set_input_files({"name": "bad.json", "mimeType": "application/json", "buffer": b"{"})
    expect(page.locator("#taken [role=alert]")).to_have_text("This is not valid JSON.", timeout=TIMEOUT)
    expect(prompt).to_have_value("panda, red background")


def test_the_first_grid_is_measured(page: Page) -> None:
    unfold(page, "Effect curves")
    page.get_by_role("button", name="Measure this grid").click()
    expect(page.locator("#line-fit canvas, #line-fit svg").first).to_be_visible(timeout=TIMEOUT)
    expect(page.locator("#curve-saturation")).to_contain_text("How pure the colours are", timeout=TIMEOUT)
    expect(page.locator("#curve-diversity")).to_be_hidden()  # one seed has none
    expect(page.locator("#verdict")).to_contain_text("three seeds or more")
    expect(page.locator("#numbers")).to_contain_text("Guidance")
