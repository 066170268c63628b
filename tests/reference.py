"""The picture that a diffusers user gets, to hold cells against."""

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from playground import Recipe
from playground.engine import Result
from playground.schedule import Config, scheduler_for

TOLERANCE = 2  # of 255, the largest difference of any pixel


def plain(pipeline: StableDiffusionPipeline, schedule: Config, recipe: Recipe) -> np.ndarray:
    """`schedule`: the model's scheduler config."""
    pipeline.scheduler = scheduler_for(recipe, schedule)
    picture = pipeline(
        recipe.prompt,
        negative_prompt=recipe.negative_prompt,
        num_inference_steps=recipe.num_inference_steps,
        guidance_scale=recipe.guidance_scale,
        guidance_rescale=recipe.guidance_rescale,
        width=recipe.width,
        height=recipe.height,
        generator=torch.Generator().manual_seed(recipe.seed),
    ).images[0]
    return np.asarray(picture).astype(int)


def largest_difference(result: Result, picture: np.ndarray) -> int:
    return int(np.abs(np.asarray(result.image).astype(int) - picture).max())
