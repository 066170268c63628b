"""Schedulers as a user of diffusers writes them, to hold the playground's own table of samplers against."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import diffusers
from diffusers import DiffusionPipeline
from torch import nn

from playground import Recipe

# each sampler's class, and what is given besides the config of the model's own scheduler
WRITTEN: dict[str, tuple[str, dict[str, Any]]] = {
    "ddpm": ("DDPMScheduler", {}),
    "ddim": ("DDIMScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
    "dpmpp_2m_karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "dpmpp_sde": ("DPMSolverSDEScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "lcm": ("LCMScheduler", {}),
}
# the same for models that were taught flow matching, without their shift, and what the shift is called
OF_FLOW: dict[str, tuple[str, dict[str, Any], str]] = {
    "euler": ("FlowMatchEulerDiscreteScheduler", {}, "shift"),
    "heun": ("FlowMatchHeunDiscreteScheduler", {}, "shift"),
    "dpmpp_2m": (
        "DPMSolverMultistepScheduler",
        {"use_flow_sigmas": True, "prediction_type": "flow_prediction"},
        "flow_shift",
    ),
    "unipc": ("UniPCMultistepScheduler", {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}, "flow_shift"),
}
_own: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()  # by the network, which pipelines may share


def use(pipeline: DiffusionPipeline, recipe: Recipe) -> None:
    """The recipe's sampler in this pipeline, always from the scheduler that its network came with."""
    parts = pipeline.components
    own = _own.setdefault(parts.get("unet") or parts["transformer"], pipeline.scheduler)
    pipeline.scheduler = written(recipe, type(own).__name__, own.config)


def written(recipe: Recipe, own_class: str, config: Mapping[str, Any]) -> Any:
    """`own_class` and `config`: of the model's own scheduler."""
    if not (own_class.startswith("FlowMatch") or config["prediction_type"] == "flow_prediction"):
        name, given = WRITTEN[recipe.sampler]
        if recipe.sampler == "dpmpp_sde":  # which draws its noise from elsewhere than the pipeline's generator
            given = {"noise_sampler_seed": recipe.seed}
    else:
        name, given, shift = OF_FLOW[recipe.sampler]
        given = given | {shift: recipe.shift or config["flow_shift" if "flow_shift" in config else "shift"]}
    return getattr(diffusers, name).from_config(config, **given)
