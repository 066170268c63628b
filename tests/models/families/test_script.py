"""A cell of any family as a program: diffusers alone draws the cell's picture."""

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import save_file

from playground import open_engine
from playground.engine import LocalEngine
from playground.export.script import to_script
from playground.refusal import Refusal
from tests.models.lora.test_kinds_of_files import ATTENTION, as_diffusers, trained
from tests.models.tiny_families import FAMILIES
from tests.reference import TOLERANCE, drawn_by_program, largest_difference


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_script_draws_the_cells_picture(
    engine_of: Callable[[str], LocalEngine],
    folder_of: Callable[[str], Path],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = engine_of(kind)
    facts = engine.facts
    recipe = facts.usual.replace(
        prompt="red apple", num_inference_steps=4, seed=3, width=64, height=96, sampler=facts.samplers[-1]
    )
    if facts.cfg:
        recipe = recipe.replace(negative_prompt="cat", **{facts.cfg: 3.0})
    if not facts.no_shift:
        recipe = recipe.replace(shift=2.0)
    monkeypatch.chdir(tmp_path)
    drawn = drawn_by_program(to_script(recipe, facts), folder_of(kind))
    assert largest_difference(engine.render(recipe), drawn) <= TOLERANCE


@pytest.mark.parametrize("loras", [{}, {"style": 0.7}])
def test_an_earlier_layer_of_clip_is_left_out_by_any_transformers(
    folders: dict[str, Path], loras: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(folders["sd15-tiny"], tmp_path / "model")
    (folder / "loras").mkdir()
    unet = trained(DiffusionPipeline.from_pretrained(folder).unet, ATTENTION, 1)
    save_file(as_diffusers({"unet": unet}), folder / "loras" / "style.safetensors")
    with closing(open_engine(folder, torch.device("cpu"), torch.float32, "torch")) as engine:
        recipe = engine.facts.usual.replace(prompt="red apple", num_inference_steps=4, clip_skip=1, loras=loras)
        monkeypatch.chdir(tmp_path)
        drawn = drawn_by_program(to_script(recipe, engine.facts), folder)
        assert largest_difference(engine.render(recipe), drawn) <= TOLERANCE
        assert largest_difference(engine.render(recipe.replace(clip_skip=0)), drawn) > TOLERANCE


def test_where_diffusers_reads_no_loras_none_is_promised(engine_of: Callable[[str], LocalEngine]) -> None:
    facts = replace(engine_of("pixart-sigma-tiny").facts, loras={"style": ""})
    assert to_script(facts.usual.replace(loras={"style": 0.0}), facts)  # which adds nothing
    with pytest.raises(Refusal, match="^This model's pipeline in diffusers reads no LoRAs, so no program"):
        to_script(facts.usual.replace(loras={"style": 1.0}), facts)
