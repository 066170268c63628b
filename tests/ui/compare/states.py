"""Compare in every state that a visitor can bring it into, one after another on one page.

python -m tests.ui.compare.states OUT     # pictures of all of them at four widths, light and dark, to be looked at
"""

import argparse
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from playground import Recipe, open_engine
from playground.engine import LocalEngine
from playground.export.parameters import to_parameters
from playground.store import Store
from tests.conftest import whole_page
from tests.ensure_chromium import found
from tests.export.test_documents import _png
from tests.ui.compare.support import RUN_TIMEOUT, cells, everything_else, fill, finished, run, vary

At = Callable[[str], None]  # told the name of each state when the page is in it
WIDTHS = {390: 844, 820: 1180, 1280: 900, 1920: 1080}
SCHEMES = ("light", "dark")
POISON = "poison"  # a prompt whose text encoding is no number, so that its cell fails
LONG = 1000  # steps: a run that is still under way when it is looked at
LARGE = 7  # values of each axis of a grid whose cells out of sight are not laid out


@contextmanager
def poisoned(engine: LocalEngine) -> Iterator[None]:
    """Meanwhile the engine cannot draw that prompt."""
    real = engine.model.encode

    def encode(text: str, **more: object) -> object:
        return {name: x * (float("nan") if POISON in text else 1) for name, x in real(text, **more).items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.model, "encode", encode)
        yield


def walk(page: Page, at: At, seed: int = 0) -> None:
    """`page` shows Compare with the first grid; `seed` makes the long run one that is not kept."""
    expect(cells(page, "done")).to_have_count(5, timeout=RUN_TIMEOUT)
    at("first view")
    _form(page, at, seed)
    _grids(page, at)
    _two_cells(page, at)
    _blind(page, at)
    _measured(page, at)
    _taken_away(page, at)
    _failed(page, at)
    _large(page, at)


def _form(page: Page, at: At, seed: int) -> None:
    fill(page, "values-guidance-scale", "1, three")
    expect(page.locator("[role=alert]:visible").first).to_contain_text("three")
    at("error under a field")
    fill(page, "values-guidance-scale", "1, 7")
    everything_else(page)
    fill(page, "field-num-inference-steps", str(LONG))
    fill(page, "field-seed", str(seed + 100))
    expect(page.locator("#cost")).to_contain_text("2 pictures")
    run(page)
    expect(cells(page, "running")).to_have_count(2, timeout=RUN_TIMEOUT)
    at("running")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#total")).to_contain_text("Stopped with 0 of 2", timeout=RUN_TIMEOUT)
    at("stopped")
    fill(page, "values-guidance-scale", "1–16 × 16")
    fill(page, "seeds", "16")
    expect(page.locator("#cost")).to_contain_text("256 pictures", timeout=RUN_TIMEOUT)
    page.locator("#sure label").wait_for(timeout=RUN_TIMEOUT)
    run(page)
    expect(page.locator("[role=alert]:visible").first).to_contain_text("Tick the box")
    at("asks once more")


def _grids(page: Page, at: At) -> None:
    fill(page, "seeds", "1")
    fill(page, "field-seed", "0")
    fill(page, "field-num-inference-steps", "4")
    fill(page, "values-guidance-scale", "1, 7, 15")
    fill(page, "field-prompt", "drum, red background")
    run(page)
    finished(page, 3)
    at("finished")
    page.get_by_role("button", name="Add an axis").click()
    expect(page.locator("#vary-rows input")).to_have_value("Steps")
    fill(page, "values-num-inference-steps", "1, 4")
    run(page)
    finished(page, 6)
    at("two axes")
    fill(page, "seeds", "3")
    run(page)
    finished(page, 18)
    at("two axes, three seeds")
    page.get_by_label("Seeds that are shown").select_option("1")
    expect(page.locator(".dp-picture:visible")).to_have_count(6)
    expect(cells(page).first.locator(".dp-note")).to_contain_text(" s · ")
    at("two axes, one of three seeds")
    fill(page, "seeds", "1")
    page.get_by_role("button", name="Add an axis").click()
    expect(page.locator("#vary-tabs input")).to_have_value("Sampler")
    run(page)
    expect(page.locator(".dp-tabs")).to_be_visible(timeout=RUN_TIMEOUT)
    expect(cells(page, "waiting").or_(cells(page, "running"))).to_have_count(0, timeout=RUN_TIMEOUT)
    at("third axis as tabs")
    for slot in ("tabs", "rows"):
        page.locator(f"#remove-{slot}").click()
        expect(page.locator(f"#vary-{slot}")).to_be_hidden()
    fill(page, "field-num-inference-steps", "4")


def _two_cells(page: Page, at: At) -> None:
    run(page)
    finished(page, 3)
    cells(page).first.get_by_role("button").click()
    at("cell open")
    page.keyboard.press("Escape")
    page.locator(".dp-picture").first.focus()
    page.keyboard.press("c")
    at("choosing the other")
    page.locator(".dp-picture").nth(2).click()
    dialog = page.get_by_role("dialog", name="Two pictures compared")
    for name in ("Slider", "Side by side", "Flip", "Difference"):
        dialog.get_by_role("radio", name=name).check()
        at(f"two cells, {name.lower()}")
    page.keyboard.press("Escape")
    cells(page).nth(1).get_by_role("button").click()
    page.get_by_role("button", name="Show how the others differ").click()
    expect(page.locator("canvas.dp-difference")).to_have_count(2)
    at("anchor")
    page.get_by_role("button", name="Show the pictures again").click()


def _blind(page: Page, at: At) -> None:
    page.get_by_role("button", name="Guess blind").click()
    at("blind")
    page.locator(".dp-guess .dp-picture").first.click()
    at("blind, revealed")
    page.get_by_role("button", name="Stop guessing").click()


def _measured(page: Page, at: At) -> None:
    page.get_by_role("button", name="Predict, then look").click()
    page.locator("#predict-what input").click()
    page.get_by_role("option", name="The curve of the fit").click()
    bars = page.locator("#predict-question input[type=range]")
    bars.first.wait_for()
    bars.nth(1).fill("80")
    at("predict, before")
    fill(page, "seeds", "3")
    bars.nth(1).fill("70")
    run(page)
    finished(page, 9)
    expect(page.locator("#predicted [data-verdict]")).to_be_visible(timeout=RUN_TIMEOUT)
    at("predict, after")
    page.get_by_role("button", name="Predict, then look").click()
    page.get_by_role("button", name="Effect curves").click()
    page.get_by_role("button", name="Measure this grid").click()
    expect(page.locator("#line-fit canvas, #line-fit svg").first).to_be_visible(timeout=RUN_TIMEOUT)
    expect(page.locator("#verdict")).to_contain_text("Setting or seed?")
    at("curves, setting or seed")
    page.get_by_role("button", name="Effect curves").click()


def _taken_away(page: Page, at: At) -> None:
    page.locator(".dp-past summary").click()
    at("history")
    page.locator(".dp-past summary").click()
    page.get_by_role("button", name="Take away, or bring back").click()
    page.get_by_role("button", name="Make the file", exact=True).click()
    page.locator("#files a[download]").first.wait_for(timeout=RUN_TIMEOUT)
    at("take away")
    theirs = to_parameters(Recipe(prompt="dog, green background", sampler="euler", num_inference_steps=4, seed=77))
    data = _png(parameters=theirs + ", Hires upscale: 2")
    page.locator("#restore input[type=file]").set_input_files(
        {"name": "theirs.png", "mimeType": "image/png", "buffer": data}
    )
    expect(page.locator("#taken")).to_contain_text("Had no place here", timeout=RUN_TIMEOUT)
    at("dropped")
    page.get_by_role("button", name="Take away, or bring back").click()


def _failed(page: Page, at: At) -> None:
    vary(page, "Prompt")
    fill(page, "values-prompt", f"cat, yellow background\n{POISON}\nowl, blue background, a long label")
    run(page)
    expect(cells(page, "failed")).to_have_count(1, timeout=RUN_TIMEOUT)
    expect(cells(page, "done")).to_have_count(2, timeout=RUN_TIMEOUT)
    at("failed cell")


def _large(page: Page, at: At) -> None:
    vary(page, "Seed")
    fill(page, "values-seed", f"1–{LARGE} × {LARGE}")
    page.get_by_role("button", name="Add an axis").click()
    expect(page.locator("#vary-rows input")).to_have_value("Steps")
    fill(page, "values-num-inference-steps", f"1–{LARGE} × {LARGE}")
    expect(page.locator("#cost")).to_contain_text(f"{LARGE**2} pictures")
    run(page)
    finished(page, LARGE**2)
    at("large grid")


def main() -> None:
    asking = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asking.add_argument("out", type=Path)
    asking.add_argument("--widths", type=int, nargs="+", choices=WIDTHS, default=list(WIDTHS))
    asking.add_argument("--schemes", nargs="+", choices=SCHEMES, default=list(SCHEMES))
    asked = asking.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    engine = open_engine("pocket")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright, poisoned(engine):
        store = Store(Path(folder) / "cells")
        with whole_page(engine, store, Path(folder) / "gradio") as address:
            browser = playwright.chromium.launch(executable_path=found(), args=["--no-sandbox", "--disable-gpu"])
            for n, (width, scheme) in enumerate((w, s) for w in asked.widths for s in asked.schemes):
                page = browser.new_context(viewport={"width": width, "height": WIDTHS[width]}).new_page()
                page.goto(f"{address}?__theme={scheme}")
                walk(page, _camera(page, asked.out, f"{width}-{scheme}"), n)
                page.context.close()
            browser.close()
        store.close()


def _camera(page: Page, out: Path, which: str) -> At:
    numbers = iter(range(100))

    def at(name: str) -> None:
        page.wait_for_timeout(300)  # what fades has faded
        page.screenshot(path=out / f"{next(numbers):02d}-{re.sub(r'[^a-z]+', '-', name)}-{which}.png", full_page=True)

    return at


if __name__ == "__main__":
    main()
