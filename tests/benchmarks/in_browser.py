"""What a browser on the same machine costs: a grid clicked in the page against the same grid asked of the engine.

python -m tests.benchmarks.in_browser [--repeats 3]
"""

import tempfile
from itertools import count
from pathlib import Path

from playwright.sync_api import sync_playwright

from playground import open_engine
from playground.store import Store
from playground.ui.shared.shipped import examples
from tests.benchmarks.measure import draw, interleaved, main
from tests.conftest import whole_page
from tests.ensure_chromium import found
from tests.ui.compare.support import everything_else, fill, finished, run


def rows(repeats: int) -> list[tuple[str, str, str]]:
    engine = open_engine("pocket")
    engine.warm_up()
    sweep, seeds = examples()[0].sweep, count(1000)  # a new seed each time, so that nothing is kept
    cells = len(sweep.recipes())
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = Store(Path(folder) / "cells")
        with whole_page(engine, store, Path(folder) / "gradio") as address:
            browser = playwright.chromium.launch(executable_path=found(), args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.goto(address)
            everything_else(page)

            def clicked() -> None:
                fill(page, "field-seed", str(next(seeds)))
                page.locator("#total p").evaluate("said => said.replaceChildren()")  # of the run before
                run(page)
                finished(page, cells)

            def asked() -> None:
                seed = next(seeds)
                draw(engine, [recipe.replace(seed=seed) for recipe in sweep.recipes()])

            taken = interleaved({"asked": asked, "clicked": clicked}, repeats)
            browser.close()
        store.close()
    more = taken["clicked"] / taken["asked"]
    return [
        (
            f"a {cells}-cell grid clicked in a browser on this machine",
            "the same asked of the engine, previews on",
            f"{more:.2f}× the time ({taken['asked']:.2f} s → {taken['clicked']:.2f} s)",
        )
    ]


if __name__ == "__main__":
    main(__doc__, rows)
