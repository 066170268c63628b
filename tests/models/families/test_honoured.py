"""What a family is said not to honour changes none of its pictures, and what it is said to honour does."""

from collections.abc import Callable

import numpy as np
import pytest

from playground.engine import LocalEngine
from tests.models.tiny_families import FAMILIES


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_picture_depends_on_what_its_model_honours(engine_of: Callable[[str], LocalEngine], kind: str) -> None:
    engine, facts = engine_of(kind), engine_of(kind).facts
    usual = facts.usual.replace(prompt="cat", negative_prompt="owl", num_inference_steps=2, width=64, height=64)
    for recipe in (usual, usual.replace(guidance_scale=facts.guided_above)):
        drawn = np.asarray(engine.render(recipe).image)
        scale = recipe.guidance_scale + (1.5 if facts.cfg else -0.5)  # where there is no guidance it is 1 at most
        for name, value in {"negative_prompt": "apple", "guidance_scale": scale}.items():
            other = np.asarray(engine.render(recipe.replace(**{name: value})).image)
            assert facts.honours(name, recipe) == (not np.array_equal(other, drawn)), (name, value)
