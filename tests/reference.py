"""The picture that a diffusers user gets, to hold cells against."""

import runpy
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from PIL import Image

from playground import Recipe
from playground.engine import Result
from tests import schedulers

TOLERANCE = 2  # of 255, the largest difference of any pixel


def plain(pipeline: StableDiffusionPipeline, recipe: Recipe) -> np.ndarray:
    schedulers.use(pipeline, recipe)
    more = {"negative_prompt": recipe.negative_prompt, "guidance_rescale": recipe.guidance_rescale}
    return called(pipeline, recipe, width=recipe.width, height=recipe.height, **more)


def called(pipeline: DiffusionPipeline, recipe: Recipe, **more: Any) -> np.ndarray:
    """The picture of any pipeline with what all of them take of a recipe; `more` is what this one takes besides."""
    picture = pipeline(
        num_inference_steps=recipe.num_inference_steps,
        guidance_scale=recipe.guidance_scale,
        generator=torch.Generator().manual_seed(recipe.seed),
        **{"prompt": recipe.prompt} | more,
    ).images[0]
    return np.asarray(picture).astype(int)


def drawn_by_program(source: str, *arguments: str | Path) -> np.ndarray:
    """The picture of a program of a page, run in the current folder; nothing that it calls may be deprecated.

    In this process, because each new one would load torch again.
    """
    Path("picture.py").write_text(source, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(sys, "argv", ["picture.py", *map(str, arguments)])
        warnings.filterwarnings("error", ".*deprecated", FutureWarning)
        runpy.run_path("picture.py", run_name="__main__")
    return np.asarray(Image.open("picture.png")).astype(int)


def other_cells(base: Recipe, cfg: str) -> list[Recipe]:
    """What stands beside: other guidance, steps, words, seeds and sizes. `cfg`: as of `Facts`."""
    stronger, weaker = ({cfg: 3.0}, {"guidance_scale": 2.5}) if cfg else ({}, {})
    return [
        base.replace(guidance_scale=1.0, seed=4),
        base.replace(prompt="owl", num_inference_steps=3, negative_prompt="", **stronger),
        base.replace(width=base.width + 32, seed=5, **weaker),
    ]


def largest_difference(result: Result, picture: np.ndarray) -> int:
    return int(np.abs(np.asarray(result.image).astype(int) - picture).max())
