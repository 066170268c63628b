"""SDXL, SD3, Flux and PixArt folders: every offered sampler draws what the family's own pipeline draws."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from playground.engine import Done, LocalEngine
from playground.recipe import Recipe
from tests import schedulers
from tests.models.tiny_families import FAMILIES
from tests.reference import TOLERANCE, largest_difference, other_cells


def plain(pipeline: DiffusionPipeline, recipe: Recipe) -> np.ndarray:
    """What somebody gets who calls the family's pipeline with the recipe's settings."""
    schedulers.use(pipeline, recipe)
    kind = type(pipeline).__name__
    own: dict[str, Any] = {"negative_prompt": recipe.negative_prompt}
    if kind == "StableDiffusionXLPipeline":  # which makes zeros of a negative prompt that is not given
        own = {"negative_prompt": recipe.negative_prompt or None, "guidance_rescale": recipe.guidance_rescale}
    if kind == "FluxPipeline":
        own["true_cfg_scale"] = recipe.true_cfg_scale
    if kind == "QwenImagePipeline":  # whose guidance_scale is for a model that there is not
        own |= {"true_cfg_scale": recipe.guidance_scale, "guidance_scale": None}
    if kind == "Flux2KleinPipeline":  # which takes another negative prompt than "" only encoded
        own = {"negative_prompt_embeds": pipeline.encode_prompt(recipe.negative_prompt)[0]}
    if kind == "SanaPipeline":
        own["use_resolution_binning"] = False
    if kind.startswith("PixArt"):  # sizes as asked; texts cleaned only where two more packages are installed
        own |= {"use_resolution_binning": False, "clean_caption": False}
    told = {
        "num_inference_steps": recipe.num_inference_steps,
        "guidance_scale": recipe.guidance_scale,
        "width": recipe.width,
        "height": recipe.height,
        "generator": torch.Generator().manual_seed(recipe.seed),
    }
    picture = pipeline(prompt=recipe.prompt, **told | own).images[0]
    return np.asarray(picture).astype(int)


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_offered_sampler_is_the_pipelines_alone_and_among_others(
    engine_of: Callable[[str], LocalEngine], pipeline_of: Callable[[str], DiffusionPipeline], kind: str
) -> None:
    engine, facts = engine_of(kind), engine_of(kind).facts
    base = facts.usual.replace(
        prompt="red apple", negative_prompt="cat", num_inference_steps=4, seed=3, width=64, height=64
    )
    cells = [base.replace(sampler=key) for key in facts.samplers] + other_cells(base, facts.cfg)
    if kind == "sdxl-tiny":
        cells.append(base.replace(guidance_rescale=0.7))
    if kind == "flux2-klein-tiny":  # whose pipeline takes a scale and does not look at it
        cells.append(base.replace(guidance_scale=7.0))
    among = {e.cell: e.result for e in engine.run(cells) if isinstance(e, Done)}
    assert len(among) == len(cells)
    for i, recipe in enumerate(cells):
        expected = plain(pipeline_of(kind), recipe)
        assert expected.std() > 3
        for found in (among[i], engine.render(recipe)):
            apart = largest_difference(found, expected)
            assert apart <= TOLERANCE, (recipe.sampler, recipe.guidance_scale, recipe.width, apart)
