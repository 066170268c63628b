"""A cell of any family as a program: diffusers alone draws the cell's picture."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from playground.engine import LocalEngine
from playground.export.script import to_script
from playground.refusal import Refusal
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


def test_where_diffusers_reads_no_loras_none_is_promised(engine_of: Callable[[str], LocalEngine]) -> None:
    facts = replace(engine_of("pixart-sigma-tiny").facts, loras={"style": ""})
    assert to_script(facts.usual.replace(loras={"style": 0.0}), facts)  # which adds nothing
    with pytest.raises(Refusal, match="^This model's pipeline in diffusers reads no LoRAs, so no program"):
        to_script(facts.usual.replace(loras={"style": 1.0}), facts)
