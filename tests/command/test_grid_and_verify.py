"""The same grids and receipts without a page."""

import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

from playground import Sweep
from playground.engine import Result
from playground.export.png import cell_png
from playground.store import from_png

ROOT = Path(__file__).parents[2]
SWEEP = {"base": {"prompt": "cat, red background", "num_inference_steps": 2}, "axes": {"seed": [1, 2]}}


def ran(*arguments: str, cells: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PLAYGROUND_CELLS": str(cells)}
    command = [sys.executable, "-m", "playground", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, input=given, capture_output=True, text=True, timeout=300)


def test_a_grid_from_standard_input_its_events_and_its_receipt(tmp_path: Path) -> None:
    out, cells = tmp_path / "out", tmp_path / "cells"
    done = ran("grid", "-", "-o", str(out), "--json", "--film", "gif", "--zip", cells=cells, given=json.dumps(SWEEP))
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    steps = [e for e in events if e["event"] == "step"]
    assert {(e["cell"], e["k"], e["of"]) for e in steps} == {(c, k, 2) for c in (0, 1) for k in (1, 2)}
    assert [e["evaluations"] for e in events if e["event"] == "done"] == [4, 4]
    assert events[-1] | {"files": []} == {"event": "finished", "pictures": 2, "failed": 0, "files": []}
    assert all((out / name).is_file() for name in events[-1]["files"])
    pictures = sorted((out / "cells").glob("*.png"))
    assert [from_png(path.read_bytes()).recipe for path in pictures] == Sweep.from_dict(SWEEP).recipes()

    again = ran("grid", str(out / "grid.png"), "-o", str(tmp_path / "again"), cells=cells)  # a sheet is a recipe too
    assert again.returncode == 0 and "2 of 2 pictures" in again.stderr and again.stdout == ""
    same = sorted((tmp_path / "again" / "cells").glob("*.png"))
    assert [path.read_bytes() for path in same] == [path.read_bytes() for path in pictures]  # from the store

    receipt = ran("verify", str(pictures[0]), "--json", cells=cells)
    assert receipt.returncode == 0 and json.loads(receipt.stdout)["largest"] <= 2
    spoilt = tmp_path / "spoilt.png"
    result = from_png(pictures[0].read_bytes())

    spoilt.write_bytes(cell_png(Result(Image.new("RGB", (128, 128)), result.recipe, 1.0, 4)))
    receipt = ran("verify", str(spoilt), cells=cells)
    assert receipt.returncode == 1 and "not the same picture" in receipt.stdout
