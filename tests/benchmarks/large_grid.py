"""A grid of 256 kept cells in a browser: its longest frame while it is drawn and scrolled, and the server's memory over
ten of them.

python -m tests.benchmarks.large_grid [--repeats 3]     # ten grids, whatever --repeats says
"""

import statistics
import tempfile
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

from playground import Recipe, Sweep, open_engine
from playground.engine import Engine
from playground.link import to_token
from playground.render import render
from playground.store import Store
from tests.benchmarks.measure import main
from tests.conftest import whole_page
from tests.ensure_chromium import found
from tests.ui.compare.support import fill

SIDE = 16  # values of each axis
CELLS = SIDE**2
GRIDS = 10
SETTLED = 2  # grids after which all that is made once has been made
PROMPTS = ("cat, yellow background", "red apple, blue background")
SMOOTH = 200  # ms that no frame should take
# Every gap between two frames, and what the browser itself calls a long frame, where it has a name for it.
WATCH = """() => {
  window.frames_ = { gaps: [], long: [] };
  let last = performance.now();
  const tick = (now) => { window.frames_.gaps.push(now - last); last = now; requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
  if (PerformanceObserver.supportedEntryTypes.includes("long-animation-frame"))
    new PerformanceObserver((list) => list.getEntries().forEach((one) => window.frames_.long.push(one.duration)))
      .observe({ type: "long-animation-frame" });
}"""
TAKE = "() => { const { gaps, long } = window.frames_; window.frames_ = { gaps: [], long: [] }; return [gaps, long]; }"
# Not by Playwright's own waiting: what it does to a page between two looks takes longer than the page's own frames.
THERE = """(said) => document.querySelector("#total").textContent.includes(said)
  && [...document.querySelectorAll("#compare-grid img")].every((img) => img.loading === "lazy" || img.complete)"""
SETTLE = "() => new Promise((done) => requestIdleCallback(() => requestAnimationFrame(() => setTimeout(done))))"
SCROLL = """async (box) => {
  for (let at = 0; at < box.scrollHeight; at += box.clientHeight / 3) {
    box.scrollTop = at;
    await new Promise(requestAnimationFrame);
  }
}"""


def sweep(prompt: str) -> Sweep:
    base = Recipe(prompt=prompt, num_inference_steps=2)
    return Sweep(base, {"seed": list(range(SIDE)), "guidance_scale": [1 + 0.5 * i for i in range(SIDE)]})


def warm(engine: Engine, store: Store) -> None:
    for prompt in PROMPTS:
        for _ in render(engine, store, sweep(prompt).recipes(), previews=False):
            pass


def longest(page: Page) -> float:
    """ms of the longest frame since the last call"""
    gaps, long = page.evaluate(TAKE)
    return max([0.0, *gaps, *long])


def draw(page: Page, prompt: str) -> tuple[float, float]:
    """-> ms of the longest frame from the click until all is there, and while the grid is scrolled through"""
    fill(page, "field-prompt", prompt)
    page.locator("#total p").evaluate("said => said.replaceChildren()")  # of the grid before
    page.evaluate(SETTLE)
    longest(page)
    page.locator("#run").evaluate("button => button.click()")
    page.wait_for_function(THERE, arg=f"{CELLS} of {CELLS} pictures, all kept", timeout=120_000)
    page.evaluate(SETTLE)
    drawn = longest(page)
    page.locator("#compare-grid .dp-scroll").evaluate(SCROLL)
    return drawn, longest(page)


def held() -> float:
    """MB of the server's process in memory"""
    return psutil.Process().memory_info().rss / 1e6


def rows(repeats: int) -> list[tuple[str, str, str]]:
    engine = open_engine("pocket")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = Store(Path(folder) / "cells")
        warm(engine, store)
        with whole_page(engine, store, Path(folder) / "gradio") as address:
            browser = playwright.chromium.launch(executable_path=found(), args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.goto(f"{address}?grid={to_token(sweep(PROMPTS[0]), engine.facts.usual)}")
            page.locator(f'#compare-grid [data-cell="{CELLS - 1}"]').wait_for(timeout=120_000)
            page.evaluate(WATCH)
            drawn, scrolled, memory = [], [], []
            for n in range(GRIDS):
                one, other = draw(page, PROMPTS[1 - n % 2])
                drawn.append(one)
                scrolled.append(other)
                memory.append(held())
            browser.close()
        store.close()
    return [
        (
            f"a kept grid of {CELLS} cells drawn in a browser on this machine, {GRIDS} times",
            f"no frame over {SMOOTH} ms",
            f"longest frame {statistics.median(drawn):.0f} ms, at worst {max(drawn):.0f} ms; scrolled through "
            f"{statistics.median(scrolled):.0f} ms, at worst {max(scrolled):.0f} ms",
        ),
        (
            f"memory over these {GRIDS} grids of {CELLS} kept cells",
            "–",
            f"{memory[SETTLED - 1]:.0f} MB after {SETTLED}, {memory[-1]:.0f} MB after {GRIDS}",
        ),
    ]


if __name__ == "__main__":
    main(__doc__, rows)
