"""The same grids and receipts without a page: in this process, and once in another, which has to load torch again."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from playground import Sweep
from playground.command.line import main
from playground.engine import LocalEngine, Result
from playground.export.png import cell_png, texts_of
from playground.store import from_png

ROOT = Path(__file__).parents[2]
SWEEP = {"base": {"prompt": "cat, red background", "num_inference_steps": 2}, "axes": {"seed": [1, 2]}}


@pytest.fixture(autouse=True)
def _one_engine(monkeypatch: pytest.MonkeyPatch, engine: LocalEngine, tmp_path: Path) -> None:
    """The session's engine instead of a second one, and a store of this test's own."""
    monkeypatch.setattr("playground.command.grid.opened", lambda model, **_: engine)
    monkeypatch.setattr("playground.command.verify.opened", lambda model, **_: engine)
    monkeypatch.setenv("PLAYGROUND_CELLS", str(tmp_path / "cells"))


def test_a_grid_from_standard_input_its_events_and_its_receipts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    given = io.TextIOWrapper(io.BytesIO(json.dumps(SWEEP).encode()))
    monkeypatch.setattr(sys, "stdin", given)
    assert main(["grid", "-", "-o", str(out), "--json", "--film", "gif", "--zip"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    steps = [e for e in events if e["event"] == "step"]
    assert {(e["cell"], e["k"], e["of"]) for e in steps} == {(c, k, 2) for c in (0, 1) for k in (1, 2)}
    assert [e["evaluations"] for e in events if e["event"] == "done"] == [4, 4]
    assert events[-1] | {"files": []} == {"event": "finished", "pictures": 2, "failed": 0, "files": []}
    assert {"grid.gif", "grid.zip", "grid.html", "cells.csv"} <= set(events[-1]["files"])
    assert all((out / name).is_file() for name in events[-1]["files"])
    pictures = sorted((out / "cells").glob("*.png"))
    assert [from_png(path.read_bytes()).recipe for path in pictures] == Sweep.from_dict(SWEEP).recipes()

    assert main(["grid", str(out / "grid.png"), "-o", str(tmp_path / "again")]) == 0  # a sheet is a recipe too
    said = capsys.readouterr()
    assert "2 of 2 pictures" in said.err and said.out == ""
    same = sorted((tmp_path / "again" / "cells").glob("*.png"))
    assert [path.read_bytes() for path in same] == [path.read_bytes() for path in pictures]  # from the store

    assert main(["verify", str(pictures[0]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["largest"] <= 2
    spoilt = tmp_path / "spoilt.png"
    spoilt.write_bytes(cell_png(Result(Image.new("RGB", (128, 128)), Sweep.from_dict(SWEEP).recipes()[0], 1.0, 4)))
    assert main(["verify", str(spoilt)]) == 1
    assert "not the same picture" in capsys.readouterr().out


def test_where_no_film_can_be_made_all_else_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked, out = tmp_path / "sweep.json", tmp_path / "out"
    asked.write_text(json.dumps(SWEEP | {"axes": {"seed": [1]}}))
    command = ["grid", str(asked), "-o", str(out), "--film", "gif", "--film", "mp4"]
    assert main(command) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("A film needs at least two values") and "1 of 1 pictures" in said[-2]
    assert (out / "grid.html").is_file() and len(list((out / "cells").glob("*.png"))) == 1
    assert not (out / "grid.gif").exists()
    assert main([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["no_film"] == said[-1]


def test_the_page_steps_through_the_runs_of_new_and_of_kept_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, out = tmp_path / "sweep.json", tmp_path / "out"
    asked.write_text(json.dumps(SWEEP))
    assert main(["grid", str(asked), "-o", str(out)]) == 0
    assert '"x0":' not in (out / "grid.html").read_text("utf-8")
    asked.write_text(json.dumps(SWEEP | {"axes": {"seed": [1, 2, 3]}}))
    assert main(["grid", str(asked), "-o", str(out), "--steps"]) == 0
    assert "grid.html steps through 3 of 3 runs, at most 2 points of each." in capsys.readouterr().err
    page = (out / "grid.html").read_text("utf-8")
    assert page.count('"calls": [1, 2], "of": 2') == 3 and page.count('"x0": "data:image/webp') == 3
    assert main(["grid", str(asked), "-o", str(out), "--steps", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-2] == {"event": "again", "calls": 6, "of": 6} and events[-1]["steps_of"] == 3


def test_another_process_with_an_empty_store_writes_equal_files(tmp_path: Path) -> None:
    asked = tmp_path / "sweep.json"
    base = {"prompt": "guitar, green background", "num_inference_steps": 6}
    asked.write_text(json.dumps({"base": base, "axes": {"guidance_scale": [1, 5, 15]}}))
    command = [sys.executable, "-m", "playground", "grid", str(asked), "-o", str(tmp_path / "there")]
    elsewhere = os.environ | {"PLAYGROUND_CELLS": str(tmp_path / "empty")}
    subprocess.run(command, check=True, env=elsewhere, cwd=ROOT, capture_output=True, timeout=300)
    assert main(["grid", str(asked), "-o", str(tmp_path / "here")]) == 0
    here, there = (sorted((tmp_path / place / "cells").glob("*.png")) for place in ("here", "there"))
    assert len(here) == 3
    assert [path.read_bytes() for path in here] == [path.read_bytes() for path in there]


def test_a_picture_says_what_drew_it(engine: LocalEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = Sweep.from_dict(SWEEP).recipes()[0]
    black = Result(Image.new("RGB", (128, 128)), recipe, 1.0, 4)
    facts = engine.facts
    assert facts.fingerprint in texts_of(cell_png(black, facts))[0]["diffusion-playground-engine"]
    other = tmp_path / "other.png"
    other.write_bytes(cell_png(black, replace(facts, fingerprint="0" * 16, precision="bf16")))
    assert main(["verify", str(other)]) == 1
    assert "drawn with bf16, where fp32 draws now" in capsys.readouterr().out


def test_a_grid_that_starts_from_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / "out"
    Image.effect_noise((90, 70), 80).convert("RGB").save(photo)
    asked = {"base": {"prompt": "cat", "num_inference_steps": 4}, "axes": {"strength": [0.25, 1]}}
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(asked))
    assert main(["grid", str(recipe), "-o", str(out), "--image", str(photo)]) == 0
    pictures = sorted((out / "cells").glob("*.png"))
    found = [from_png(path.read_bytes()).recipe for path in pictures]
    assert [r.strength for r in found] == [0.25, 1] and len({r.image for r in found}) == 1
    assert main(["verify", str(pictures[0])]) == 0
    assert (out / f"given-{found[0].image[:12]}.png").is_file()
    asked["base"] |= {"image": "0" * 64}
    recipe.write_text(json.dumps(asked))
    capsys.readouterr()
    assert main(["grid", str(recipe), "-o", str(out)]) == 2
    assert "is not on this machine, so nothing was drawn" in capsys.readouterr().err


def test_where_nothing_can_be_kept_it_is_said_and_not_claimed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, file = tmp_path / "recipe.json", tmp_path / "file"
    recipe.write_text(json.dumps(SWEEP))
    file.touch()
    monkeypatch.setenv("PLAYGROUND_CELLS", str(file / "cells"))
    assert main(["grid", str(recipe), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert "2 of 2 pictures" in said and "cannot be kept here: not a directory." in said
    (tmp_path / "again" / "cells.csv").mkdir(parents=True)
    assert main(["grid", str(recipe), "-o", str(tmp_path / "again")]) == 2
    said = capsys.readouterr().err
    assert "cells.csv cannot be written: Is a directory." in said
    assert "cannot be kept here" in said and "kept all the same" not in said
