"""A picture does not depend on its batch-mates: by OpenVINO in fp32 it is the same to the last bit."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from playground import Recipe, open_engine
from playground.engine import Done, LocalEngine, Result, local
from playground.export.png import cell_png
from playground.models.running import conversion
from playground.render import render
from playground.samplers import SAMPLERS
from playground.store import Store

BASE = Recipe(prompt="guitar, green background", num_inference_steps=4, seed=110)
CELLS = [
    BASE.replace(sampler=key, guidance_scale=guidance, seed=seed)
    for seed, key in enumerate(SAMPLERS)
    for guidance in (5.0, 9.0, 15.0)
]
LORAS = [BASE.replace(loras=dict(loras)) for loras in ({"lcm": 1.0}, {"pixel_art": 0.5}, {"lcm": 1, "ink_outline": 1})]


def drawn(engine: LocalEngine, cells: Sequence[Recipe]) -> dict[str, Result]:
    """By digest."""
    done = [event.result for event in engine.run(cells, previews=False) if isinstance(event, Done)]
    assert len(done) == len(cells)
    return {result.recipe.digest(): result for result in done}


def same(one: Result, other: Result) -> bool:
    return torch.equal(one.x0, other.x0) and np.array_equal(np.asarray(one.image), np.asarray(other.image))


@pytest.fixture(scope="module")
def among(engine: LocalEngine) -> dict[str, Result]:
    """All of them together, with LoRAs between."""
    assert engine.runtime == "OpenVINO"
    return drawn(engine, [*CELLS, *LORAS])


@pytest.mark.parametrize("key", SAMPLERS)
def test_alone_it_is_what_it_is_among_others(engine: LocalEngine, among: dict[str, Result], key: str) -> None:
    for recipe in (cell for cell in CELLS if cell.sampler == key):
        assert same(engine.render(recipe), among[recipe.digest()]), recipe


def test_in_another_order_and_another_company_it_is_the_same(engine: LocalEngine, among: dict[str, Result]) -> None:
    for digest, result in drawn(engine, [*LORAS[:1], *CELLS[::-2], BASE.replace(width=96)]).items():
        assert digest not in among or same(result, among[digest]), result.recipe


def test_with_loras_as_well(engine: LocalEngine, among: dict[str, Result]) -> None:
    for recipe in LORAS:
        assert same(engine.render(recipe), among[recipe.digest()]), recipe


def test_what_is_kept_is_what_would_be_drawn_now(engine: LocalEngine, store: Store, tmp_path: Path) -> None:
    """The same grid beside another visitor's, and again with an empty store; its files as well."""
    cells = [BASE.replace(guidance_scale=g) for g in (1.0, 5.0, 15.0)]

    def grid(kept: Store) -> list[Result]:
        found = {e.cell: e.result for e in render(engine, kept, cells, previews=False) if isinstance(e, Done)}
        return [found[i] for i in range(len(cells))]

    other = engine.run([cell.replace(seed=1, num_inference_steps=60) for cell in cells], previews=False)
    next(other)
    beside = grid(store)
    other.close()
    empty = Store(tmp_path / "empty")
    for found in (grid(store), grid(empty)):
        assert [same(a, b) for a, b in zip(found, beside, strict=True)] == [True] * 3
        files = [[cell_png(result, engine.facts) for result in results] for results in (found, beside)]
        assert files[0] == files[1]
    empty.close()


def test_the_first_picture_of_a_start_is_that_of_every_later_one(
    engine: LocalEngine, among: dict[str, Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Asked before the network is converted, on a machine that never converted it."""
    monkeypatch.setattr(conversion, "folder", lambda: tmp_path / "networks")
    monkeypatch.setattr(local, "PATIENCE", 300.0)  # the machine may be busy
    fresh = open_engine("pocket", torch.device("cpu"), torch.float32)
    assert fresh.runtime == "PyTorch until OpenVINO is ready"
    for digest, result in drawn(fresh, CELLS[:3]).items():
        assert same(result, among[digest])
    fresh.close()
