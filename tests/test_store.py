"""Finished cells stay: exact, bounded, shared between processes, and never read back half-written."""

import io
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from playground import Recipe, Sweep, pictures
from playground.engine import Done, LocalEngine, Result, Step
from playground.render import missing, render
from playground.store import IN_MEMORY, Store, from_png, to_png

KEPT = Path(__file__).parent / "kept"


def picture(seed: int, side: int = 64) -> Result:
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8))
    return Result(
        image, Recipe(prompt="naïve “cat” ✓", seed=seed, width=side, height=side), 1.25, 40, 3, torch.randn(1, 4, 8, 8)
    )


def test_a_kept_cell_comes_back_exactly(store: Store) -> None:
    before = picture(1)
    store.put(before, "weights")
    after = store.get(before.recipe, "weights")
    assert np.array_equal(np.asarray(after.image), np.asarray(before.image))
    assert torch.equal(after.x0, before.x0)
    assert (after.recipe, after.seconds, after.evaluations, after.shared) == (before.recipe, 1.25, 40, 3)


def test_cells_that_an_earlier_version_kept_are_still_found(tmp_path: Path) -> None:
    """`kept` was written before recipes had late fields, by the code of that day."""
    shutil.copytree(KEPT / "store", tmp_path / "store")  # SQLite writes beside what it reads
    store = Store(tmp_path / "store")
    recipes = json.loads((KEPT / "recipes.json").read_text(encoding="utf-8"))
    assert len(recipes) == 4
    for kept in recipes:
        recipe = Recipe.from_json(kept["json"])
        assert recipe.to_json() == kept["json"] and recipe.digest() == kept["digest"]
        found = store.get(recipe, "0123456789abcdef")
        assert found.recipe == recipe and found.image.size == (recipe.width, recipe.height)
        assert found.x0.shape == (1, 4, recipe.height // 8, recipe.width // 8)
    store.close()


def test_other_weights_or_another_recipe_are_not_answered(store: Store) -> None:
    store.put(picture(1), "weights")
    assert store.get(picture(1).recipe, "other weights") is None
    assert store.get(picture(2).recipe, "weights") is None


def test_the_png_that_is_kept_opens_anywhere_and_carries_its_recipe() -> None:
    data = to_png(picture(3))
    assert Image.open(io.BytesIO(data)).format == "PNG"
    assert from_png(data).recipe == picture(3).recipe


@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_damaged_entries_count_as_absent(store: Store, damage: str) -> None:
    result = picture(4)
    whole = to_png(result)
    data = {"cut": whole[: len(whole) // 2], "other": b"hello", "empty": b""}[damage]
    store._cache.set(f"weights-{result.recipe.digest()}", data)
    assert store.get(result.recipe, "weights") is None
    store.put(result, "weights")
    assert store.get(result.recipe, "weights") is not None


def test_a_pickle_in_the_folder_is_never_loaded(tmp_path: Path) -> None:
    import diskcache

    recipe = picture(5).recipe
    other = diskcache.Cache(str(tmp_path / "cells"))
    other.set(f"weights-{recipe.digest()}", {"a": Path("anything")})  # diskcache pickles what is not text or bytes
    other.close()
    store = Store(tmp_path / "cells")
    assert store.get(recipe, "weights") is None
    store.close()


def test_the_folder_stays_within_its_limit(tmp_path: Path) -> None:
    store = Store(tmp_path / "cells", size_limit=2_000_000)
    for seed in range(60):  # 60 pictures of about 100 kB
        store.put(picture(seed, 184), "weights")
    size = sum(p.stat().st_size for p in (tmp_path / "cells").rglob("*") if p.is_file())
    assert 0 < len(store) < 60 and size < 3_000_000
    assert store.get(picture(59, 184).recipe, "weights") is not None
    store.close()


# One process for both tests, because it has to load torch and the model: it writes, and then draws until it is killed.
OTHER = """
import sys
from pathlib import Path
from playground import Recipe, open_engine
from playground.render import render
from playground.store import Store
from tests.test_store import picture
store = Store(Path(sys.argv[1]))
engine = open_engine("pocket")
print("ready", flush=True)
for seed in range(20, 50):
    store.put(picture(seed), "weights")
print("written", flush=True)
for event in render(engine, store, [Recipe(seed=s, num_inference_steps=2) for s in range(500)]):
    pass
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared") / "cells"


@pytest.fixture(scope="module")
def other(shared: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", OTHER, str(shared)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    yield process
    process.kill()
    process.wait()


def test_two_processes_share_one_store(other: subprocess.Popen[str], shared: Path) -> None:
    store = Store(shared)
    assert other.stdout.readline() == "ready\n"
    for seed in range(30):  # while it writes the last 10 of these and 20 more
        store.put(picture(seed), "weights")
    assert other.stdout.readline() == "written\n"
    for seed in range(50):
        kept = store.get(picture(seed).recipe, "weights")
        assert np.array_equal(np.asarray(kept.image), np.asarray(picture(seed).image))
    store.close()


def test_a_killed_process_loses_nothing_that_was_finished(
    other: subprocess.Popen[str], shared: Path, engine: LocalEngine
) -> None:
    store = Store(shared)
    while len(store) < 50 + 20:  # what both wrote before, and what it draws
        assert other.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    other.kill()
    other.wait()
    finished = len(store) - 50
    # the child chose precision for itself, so its fingerprint is read from what it kept
    (fingerprint,) = {key.split("-")[0] for key in store._cache} - {"weights"}
    found = [store.get(Recipe(seed=s, num_inference_steps=2), fingerprint) for s in range(500)]
    assert sum(result is not None for result in found) == finished >= 20  # whole pictures, nothing half-written
    store.close()


def test_a_second_run_computes_nothing_and_gives_the_same_pictures(engine: LocalEngine, store: Store) -> None:
    cells = Sweep(Recipe(prompt="cat", num_inference_steps=3), {"seed": [1, 2, 3]}).recipes()
    first = {e.cell: e.result for e in render(engine, store, cells) if isinstance(e, Done)}
    assert missing(engine, store, cells) == []
    second = list(render(engine, store, cells))
    assert all(isinstance(e, Done) and e.stored for e in second)
    for event in second:
        assert np.array_equal(np.asarray(event.result.image), np.asarray(first[event.cell].image))


def test_only_the_new_value_of_an_axis_is_computed(engine: LocalEngine, store: Store) -> None:
    base = Recipe(prompt="cat", num_inference_steps=3)
    list(render(engine, store, Sweep(base, {"seed": [1, 2]}).recipes()))
    events = list(render(engine, store, Sweep(base, {"seed": [1, 5, 2]}).recipes()))
    assert {e.cell for e in events if isinstance(e, Step)} == {1}
    assert {e.cell for e in events if isinstance(e, Done)} == {0, 1, 2}


def test_what_was_finished_before_a_stop_is_kept(engine: LocalEngine, store: Store) -> None:
    cells = [Recipe(seed=1, num_inference_steps=2), Recipe(seed=2, num_inference_steps=30)]
    run = render(engine, store, cells)
    for event in run:
        if isinstance(event, Done):
            break
    run.close()
    assert missing(engine, store, cells) == [cells[1]]


def test_closing_a_run_keeps_the_cells_that_were_finished_but_not_yet_read(store: Store, engine: LocalEngine) -> None:
    cells = [Recipe(seed=s, num_inference_steps=2) for s in range(4)] + [Recipe(num_inference_steps=400)]
    events = render(engine, store, cells, previews=False)
    while not isinstance(next(events), Done):
        pass
    while len([live for request in engine.loop.requests for live in request.live]) > 1:
        time.sleep(0.01)  # the other three are finished too; their events wait to be read
    events.close()
    assert [store.has(cell, engine.facts.fingerprint) for cell in cells] == [True] * 4 + [False]


def test_a_picture_that_claims_another_size_than_its_recipe_is_never_decoded(store: Store) -> None:
    result = picture(6)
    large = replace(result, image=Image.new("RGB", (4096, 4096)))
    store._cache.set(f"weights-{result.recipe.digest()}", to_png(large))
    assert store.get(result.recipe, "weights") is None


def test_a_picture_that_runs_start_from_is_kept_by_its_pixels(store: Store, tmp_path: Path) -> None:
    picture = Image.effect_noise((60, 40), 60).convert("RGB")
    name = store.put_picture(picture)
    assert name == pictures.digest(picture) and store.put_picture(picture.copy()) == name and len(store) == 1
    again = Store(tmp_path / "cells")  # as after a restart
    assert np.array_equal(np.asarray(again.picture(name)), np.asarray(picture))
    assert again.picture("0" * 64) is None
    with closing(sqlite3.connect(tmp_path / "cells" / "cache.db")) as connection, connection:
        buffer = io.BytesIO()
        Image.new("RGB", (60, 40)).save(buffer, "PNG")
        connection.execute("UPDATE Cache SET value = ?, filename = NULL, mode = 1, size = 0", (buffer.getvalue(),))
    other = Store(tmp_path / "cells")
    assert other.picture(name) is None and len(other) == 0  # one of other pixels is not it
    again.close()
    other.close()


def test_where_nothing_can_be_kept_the_latest_pictures_are_there_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "cells")
    names = [store.put_picture(Image.new("RGB", (8, 8), (i, 0, 0))) for i in range(IN_MEMORY + 1)]
    assert store.notice and store.picture(names[0]) is None
    assert all(store.picture(name) is not None for name in names[1:])
