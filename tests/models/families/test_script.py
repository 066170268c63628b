"""The program of a flow model's cell names flow matching's own scheduler, and draws the cell's picture."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from playground.engine import LocalEngine
from playground.export.script import to_script
from tests.reference import TOLERANCE

CASES = {"euler": ("sd3-tiny", {"shift": 5.0}), "dpmpp_2m": ("sd35-tiny", {}), "unipc": ("sd3-tiny", {})}


@pytest.mark.parametrize("sampler", CASES)
def test_the_script_draws_the_cells_picture(
    sampler: str, engine_of: Callable[[str], LocalEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, changes = CASES[sampler]
    engine = engine_of(kind)
    facts = engine.facts
    recipe = facts.usual.replace(prompt="cat", negative_prompt="owl", sampler=sampler, num_inference_steps=4, seed=7)
    recipe = recipe.replace(guidance_scale=3.0, **changes)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["picture.py", facts.folder])
    Path("picture.py").write_text(to_script(recipe, schedule=facts.schedule), encoding="utf-8")
    runpy.run_path("picture.py", run_name="__main__")
    drawn = np.asarray(engine.render(recipe).image).astype(int)
    assert np.abs(np.asarray(Image.open("picture.png")).astype(int) - drawn).max() <= TOLERANCE
