"""What the configs of a folder with a U-Net say of it: what it was distilled to do, and what draws with it."""

import inspect
from typing import Any

import diffusers

from playground.models.facts import usual_recipe
from playground.recipe import Recipe
from playground.samplers import SAMPLERS
from playground.schedule import prediction_type


def is_turbo(config: Any, scheduler: str) -> bool:
    """A model that was distilled to draw in one to four steps without guidance ships an Euler scheduler whose steps
    trail, as Stability's Turbo models do; nothing else in the folder tells."""
    trails = scheduler.startswith("Euler") and config.get("timestep_spacing") == "trailing"
    return trails and prediction_type(config) != "v_prediction"


def usual(name: str, side: int, config: Any, scheduler: str) -> Recipe:
    """What the model is made for; Pocket is made for the defaults of a recipe."""
    if name == Recipe().model:
        return usual_recipe(name, side)
    if is_turbo(config, scheduler):
        return usual_recipe(name, side, sampler="euler", num_inference_steps=4, guidance_scale=0.0)
    if config.get("rescale_betas_zero_snr"):  # with the rescaling that its paper asks for
        return usual_recipe(
            name, side, sampler="ddim", num_inference_steps=30, guidance_scale=7.5, guidance_rescale=0.7
        )
    return usual_recipe(name, side, num_inference_steps=25, guidance_scale=7.5)


def samplers(config: Any) -> tuple[str, ...]:
    """Those whose scheduler follows this schedule: not all know one that ends in pure noise."""
    if not config.get("rescale_betas_zero_snr"):
        return tuple(SAMPLERS)

    def knows(scheduler_class: str) -> bool:
        return "rescale_betas_zero_snr" in inspect.signature(getattr(diffusers, scheduler_class).__init__).parameters

    return tuple(key for key, sampler in SAMPLERS.items() if knows(sampler.scheduler_class))
