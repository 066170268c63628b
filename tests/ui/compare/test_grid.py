"""What is shown of a grid is a value: each event gives a new one, and whoever holds an older one keeps it."""

import dataclasses
import json
from pathlib import Path

import pytest
from PIL import Image

from playground import Recipe, Sweep
from playground.engine import Done, Engine, Failed, Result, Step, Waiting
from playground.render import render
from playground.store import Store, to_png
from playground.ui.compare.grid import Grid, empty, folded, payload, stopped

SWEEP = Sweep(Recipe(num_inference_steps=2), {"seed": [1, 2, 3]})
PICTURE = Image.new("RGB", (8, 8), "red")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))


def after(*events: object) -> Grid:
    grid = empty(SWEEP)
    for event in events:
        grid = folded(grid, event)
    return grid


def done(cell: int, stored: bool = False, shared: int = 1) -> Done:
    return Done(cell, Result(PICTURE, SWEEP.recipes()[cell], 1.5, 4, shared), stored)


def test_each_event_is_told_in_its_own_cell() -> None:
    events = [Waiting(2, None), Step(0, 1, 2, PICTURE), done(1), Failed(2, "No memory."), done(0, stored=True)]
    half, whole = after(*events[:2]), after(*events)
    assert half.others == 2 and [c.state for c in half.cells] == ["running", "waiting", "waiting"]
    assert half.cells[0].progress == 0.5 and half.cells[0].note == "step 1 of 2"
    assert half.cells[0].picture.startswith("data:image/webp")
    assert [c.state for c in whole.cells] == ["done", "done", "failed"] and whole.finished == 2
    assert [c.note for c in whole.cells] == ["1.50 s · 4 evaluations · kept", "1.50 s · 4 evaluations", "No memory."]
    assert (whole.computed, whole.shared) == (3, 1)  # what was kept took nothing now
    assert whole.cells[1].facts == {"seconds": 1.5, "evaluations": 4, "of them shared": 1}


def test_a_large_picture_among_many_is_shown_by_a_small_one() -> None:
    sweep, large = Sweep(Recipe(), {"seed": list(range(49))}), Image.new("RGB", (512, 256), "red")
    few, many = (folded(empty(s), Done(0, Result(large, s.recipes()[0], 1.0, 4))) for s in (SWEEP, sweep))
    assert few.cells[0].small == "" and json.loads(payload(few)["cells"][0])["picture"].endswith(".png")
    shown = json.loads(payload(many)["cells"][0])
    assert shown["picture"].endswith(".png")
    with Image.open(shown["small"].removeprefix("gradio_api/file=")) as small:
        assert (small.size, small.format) == ((256, 128), "WEBP")
    assert folded(empty(sweep), done(0)).cells[0].small == ""  # a picture of 8 pixels is small enough


def test_what_was_shown_before_stays_as_it_was() -> None:
    before = after(Step(0, 1, 2, None))
    drawn = payload(before)
    later = stopped(folded(before, done(0)))
    assert payload(before) == drawn and later.cells[0].state == "done"
    assert [c.state for c in later.cells[1:]] == ["stopped", "stopped"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.cells[0].state = "done"


def test_stop_keeps_what_finished_and_what_failed() -> None:
    cells = stopped(after(done(0), Failed(1, "No memory."), Step(2, 1, 2, PICTURE))).cells
    assert [c.state for c in cells] == ["done", "failed", "stopped"]
    assert [c.note for c in cells[1:]] == ["No memory.", "stopped before it was finished"]
    assert cells[2].picture.startswith("data:")  # as far as it had come


def test_a_picture_is_encoded_once(engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []
    save = Image.Image.save

    def counted(image: Image.Image, to: object, kind: str | None = None, **options: object) -> None:
        encoded.append(kind)
        save(image, to, kind, **options)

    monkeypatch.setattr(Image.Image, "save", counted)
    for stored in (False, True):  # the second time nothing is encoded at all
        grid = empty(SWEEP)
        for event in render(engine, store, SWEEP.recipes(), previews=False):
            grid = folded(grid, event)
            if isinstance(event, Done):
                assert event.stored == stored and to_png(event.result) is event.result.png
        assert grid.finished == 3 and encoded == ["PNG"] * 3
