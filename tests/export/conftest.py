"""Two small grids that the embedded model drew, once for all tests of what can be taken away."""

from collections.abc import Sequence

import pytest

from playground import Recipe, Sweep
from playground.engine import Done, LocalEngine, Result
from playground.export.finished import FinishedGrid

BASE = Recipe(prompt="red apple, blue background", num_inference_steps=3, seed=7)
HOSTILE = '</script><img src=x onerror="alert(1)"> & “ünï” \\ \'"'


def drawn(engine: LocalEngine, recipes: Sequence[Recipe]) -> tuple[Result, ...]:
    results = {e.cell: e.result for e in engine.run(recipes, previews=False) if isinstance(e, Done)}
    return tuple(results[i] for i in range(len(recipes)))


@pytest.fixture(scope="session")
def row(engine: LocalEngine) -> FinishedGrid:
    """One axis."""
    sweep = Sweep(BASE, {"guidance_scale": [1, 3, 9]})
    return FinishedGrid(sweep, drawn(engine, sweep.recipes()))


@pytest.fixture(scope="session")
def table(engine: LocalEngine) -> FinishedGrid:
    """Two axes, words that would be markup, and one picture that was not drawn."""
    sweep = Sweep(BASE, {"prompt": [f"cat, {HOSTILE}", "dog, a very long line of words " * 4], "seed": [1, 2, 3]})
    results = drawn(engine, sweep.recipes())
    return FinishedGrid(sweep, (*results[:-1], None))
