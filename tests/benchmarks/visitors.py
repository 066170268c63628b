"""Sixteen visitors at once against the same grids one visitor after another, in one run.

    python -m tests.benchmarks.visitors [--repeats 1]

Throughput is pictures per second; the time to the first preview counts from the moment the visitor asks. One after
another, a visitor's own time starts when everybody asked, as it would for people who wait in a line.
"""

import threading
import time

import numpy as np

from playground import Recipe, Sweep, open_engine
from playground.engine import Engine, Step
from tests.benchmarks.measure import main, ratio

VISITORS = 16


def grids(visitors: int) -> list[list[Recipe]]:
    """5-cell guidance grids, everybody with an own prompt and seed."""
    things = ("red apple", "cat", "car", "rose", "guitar", "pizza", "rocket", "owl")
    return [
        Sweep(
            Recipe(prompt=f"{things[v % len(things)]}, blue background", seed=v), {"guidance_scale": [1, 3, 5, 9, 15]}
        ).recipes()
        for v in range(visitors)
    ]


def visit(engine: Engine, cells: list[Recipe], begun: float, first: list[float]) -> None:
    seen = False
    for event in engine.run(cells):
        if not seen and isinstance(event, Step) and event.preview is not None:
            first.append(time.perf_counter() - begun)
            seen = True


def at_once(engine: Engine, asked: list[list[Recipe]]) -> tuple[float, list[float]]:
    """-> (seconds until everybody has everything, seconds to each visitor's first preview)"""
    first: list[float] = []
    begun = time.perf_counter()
    threads = [threading.Thread(target=visit, args=(engine, cells, begun, first)) for cells in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun, first


def one_after_another(engine: Engine, asked: list[list[Recipe]]) -> tuple[float, list[float]]:
    first: list[float] = []
    begun = time.perf_counter()
    for cells in asked:
        visit(engine, cells, begun, first)
    return time.perf_counter() - begun, first


def rows(repeats: int = 1) -> list[tuple[str, str, str]]:
    """Medians of `repeats`, each time all of them one after another and then all at once."""
    engine = open_engine("pocket")
    engine.warm_up()
    asked = grids(VISITORS)
    runs = [(*one_after_another(engine, asked), *at_once(engine, asked)) for _ in range(repeats)]
    line, together = (float(np.median([run[i] for run in runs])) for i in (0, 2))
    p95 = [float(np.median([np.percentile(run[i], 95) for run in runs])) for i in (1, 3)]
    work = f"{VISITORS} visitors, a 5-cell grid each, at once"
    return [
        (work, "one visitor after another", f"throughput {ratio(line, together)}"),
        (
            "time to the first preview, 95th percentile",
            "same",
            f"{p95[0]:.2f} s → {p95[1]:.2f} s ({p95[1] / p95[0]:.2f})",
        ),
    ]


if __name__ == "__main__":
    main(__doc__, rows)
