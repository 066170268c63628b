"""eta, clip_skip and shift in a recipe: what diffusers draws with them, and one sentence where a model has none."""

from typing import Any

import numpy as np
import pytest
from diffusers import DiffusionPipeline

from playground.engine import Done, LocalEngine
from playground.models import Facts
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.schedule import levels
from tests import schedulers
from tests.models.families.conftest import SD, Engines, Pipelines
from tests.reference import TOLERANCE, called, largest_difference

WITH_SHIFT = ("sd3-tiny", "flux-schnell-tiny", "sana-tiny", "lumina2-tiny", "z-image-tiny", "z-image-turbo-tiny")


def base_of(facts: Facts, **changes: Any) -> Recipe:
    given = {"prompt": "red apple", "negative_prompt": "cat", "num_inference_steps": 4, "seed": 3}
    return facts.usual.replace(**given, width=64, height=64, **changes)


def drawn(pipeline: DiffusionPipeline, recipe: Recipe, **more: Any) -> np.ndarray:
    if type(pipeline).__name__.startswith("PixArt"):
        more |= {"use_resolution_binning": False, "clean_caption": False}
    if type(pipeline).__name__ == "SanaPipeline":
        more["use_resolution_binning"] = False
    more |= {"negative_prompt": recipe.negative_prompt, "width": recipe.width, "height": recipe.height}
    return called(pipeline, recipe, **more)


def compared(engine: LocalEngine, cells: list[Recipe], expected: list[np.ndarray]) -> None:
    """All are drawn in one grid, each as expected, and no two alike."""
    found = {e.cell: e.result for e in engine.run(cells) if isinstance(e, Done)}
    assert len(found) == len(cells)
    for i, recipe in enumerate(cells):
        assert largest_difference(found[i], expected[i]) <= TOLERANCE, recipe.to_json()
    assert all(np.abs(one - other).max() > TOLERANCE for one in expected for other in expected if one is not other)


@pytest.mark.parametrize("kind", [SD, "sdxl-tiny", "sdxl-turbo-tiny", "pixart-alpha-tiny", "pixart-sigma-tiny"])
def test_ddim_with_some_of_ddpms_noise(either: Engines, own: Pipelines, kind: str) -> None:
    base, pipeline = base_of(either(kind).facts, sampler="ddim"), own(kind)
    schedulers.use(pipeline, base)
    cells = [base.replace(eta=eta) for eta in (0, 0.4, 1)] + [base.replace(eta=0.4, seed=4, guidance_scale=1)]
    compared(either(kind), cells, [drawn(pipeline, recipe, eta=recipe.eta) for recipe in cells])


@pytest.mark.parametrize("kind", [SD, "sdxl-tiny", "sdxl-turbo-tiny", "sd3-tiny", "sd35-tiny"])
def test_an_earlier_layer_of_clip(either: Engines, own: Pipelines, kind: str) -> None:
    """Of the prompt alone, as the pipelines have it, also where the negative prompt says the same."""
    facts = either(kind).facts
    base, pipeline = base_of(facts, sampler="euler"), own(kind)
    schedulers.use(pipeline, base)
    cells = [base.replace(clip_skip=n) for n in range(facts.clip_skips + 1)]
    cells.append(base.replace(clip_skip=1, negative_prompt=base.prompt, seed=4))
    compared(either(kind), cells, [drawn(pipeline, recipe, clip_skip=recipe.clip_skip) for recipe in cells])


@pytest.mark.parametrize("kind", WITH_SHIFT)
def test_flow_matching_with_another_shift(either: Engines, own: Pipelines, kind: str) -> None:
    """By every sampler that such a family offers."""
    facts, pipeline = either(kind).facts, own(kind)
    models_own = facts.schedule.get("shift", facts.schedule.get("flow_shift", 1))
    shifts = [0, *(shift for shift in (1, 2, 9) if shift != models_own)]
    for sampler in facts.samplers:
        cells = [base_of(facts, sampler=sampler, shift=shift) for shift in shifts]
        expected = []
        for recipe in cells:
            schedulers.use(pipeline, recipe)
            expected.append(drawn(pipeline, recipe))
        compared(either(kind), cells, expected)
        middles = [levels(recipe, facts.schedule)[2].noise for recipe in cells[1:]]
        assert middles == sorted(middles)  # a higher shift stands in stronger noise half-way


def test_what_a_model_has_no_use_for_is_one_sentence(either: Engines) -> None:
    for kind, field, said in [
        (SD, "shift", "shift must be 0 for this model: it was not taught flow matching."),
        ("flux-dev-tiny", "shift", "shift must be 0 for this model: its own depends on the size of the picture."),
        ("sdxl-tiny", "clip_skip", "clip_skip must be at most 2 for this model."),
        ("z-image-tiny", "clip_skip", "clip_skip must be 0 for this model: CLIP's layers are not what its network "),
        (SD, "eta", "eta must be 0 with the sampler euler: only ddim has it, so choose that one."),
        ("sana-tiny", "eta", "eta must be 0 with the sampler euler: only ddim has it, so choose that one."),
    ]:
        recipe = base_of(either(kind).facts, sampler="euler")
        either(kind).check(recipe)
        with pytest.raises(Refusal) as caught:
            either(kind).check(recipe.replace(**{field: 7 if field == "clip_skip" else 0.5}))
        assert str(caught.value).startswith(said)
