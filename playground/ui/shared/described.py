"""The endpoints' documentation, with the limits of this model in it: it is all that an agent knows of a tool.

Gradio reads a function's docstring: text until "Parameters:", then one line "name: what it is" for each.
"""

import json
from collections.abc import Callable
from typing import Any

from playground.models import Facts
from playground.recipe import (
    CONTROL_RANGE,
    ETA_RANGE,
    GUIDANCE_RANGE,
    LORA_RANGE,
    MOST_LORAS,
    PROMPT_LIMIT,
    RESCALE_RANGE,
    SEED_RANGE,
    SHIFT_RANGE,
    SIDE_RANGE,
    STEPS_RANGE,
    STRENGTH_RANGE,
    TRUE_CFG_RANGE,
    Recipe,
)
from playground.samplers import SAMPLERS
from playground.sweep import LORA_PREFIX, MOST_AXES, MOST_CELLS, SIZE, WORDS_PREFIX
from playground.ui.shared.endpoint import A_RECIPE, A_SWEEP

PICTURE = (
    "PNG, JPEG, WebP, GIF, BMP or TIFF of at most 8 MB; a tool takes it as data:image/png;base64,… (then of at most "
    "3 MB) or as the address of a file of this playground, such as one that another tool gave"
)


def describe(function: Callable[..., Any], **parts: str) -> None:
    """Puts each text where the function's docstring has its name in braces."""
    for name, text in parts.items():
        function.__doc__ = (function.__doc__ or "").replace("{" + name + "}", text)


def recipe_in_words(facts: Facts) -> str:
    """What a recipe for this model may have, as sentences on one line, with an example."""
    unless = Recipe()  # what is taken for a field that is left out
    used = f"used only where {facts.cfg} is above {facts.guided_above:g}" if facts.cfg else "not used by this model"
    scale = f"number, {_range(GUIDANCE_RANGE)}; {unless.guidance_scale:g} unless given"
    scale = scale if facts.has_guidance_scale else "not used by this model, so leave it out"
    fields = [
        f"prompt (text, at most {PROMPT_LIMIT:,} characters)",
        f"negative_prompt (the same; what to steer away from, {used})",
        f"sampler ({', '.join(facts.samplers)}; {unless.sampler} unless given)",
        f"num_inference_steps (whole number, {_range(STEPS_RANGE)}; {unless.num_inference_steps} unless given)",
        f"guidance_scale ({scale})",
        f"seed (whole number, {_range(SEED_RANGE)}; {unless.seed} unless given)",
        f"width and height (pixels, {_range(SIDE_RANGE)}, multiples of {facts.multiple}; {facts.side} unless given)",
    ]
    if facts.rescales:
        rescale = f"{_range(RESCALE_RANGE)}; {unless.guidance_rescale:g} unless given"
        fields.append(f"guidance_rescale (number, {rescale})")
    if any(SAMPLERS[key].has_eta for key in facts.samplers):
        fields.append(f"eta (number, {_range(ETA_RANGE)}, with the sampler ddim; {unless.eta:g} unless given)")
    if facts.clip_skips:
        fields.append(f"clip_skip (whole number, 0 to {facts.clip_skips}; {unless.clip_skip} unless given)")
    if facts.reads_weights:
        fields.append("prompt_weights (true or false: (word:1.2) and [word] are weights; false unless given)")
    if not facts.no_shift:
        fields.append(f"shift (number, {_range(SHIFT_RANGE)}; {unless.shift:g}, the model's own, unless given)")
    if facts.has_true_cfg:
        fields.append(f"true_cfg_scale (number, {_range(TRUE_CFG_RANGE)}; {unless.true_cfg_scale:g} unless given)")
    if not facts.no_start:
        fields += [
            "image (the digest of a picture that this playground keeps, to start from it instead of noise)",
            f"strength (number, {_range(STRENGTH_RANGE)}; used only with an image: of n steps the last "
            f"int(n × strength) are run; {unless.strength:g} unless given)",
        ]
    if facts.controlnet:
        fields += [
            f"control_image (the digest of such a picture, shown to the ControlNet {facts.controlnet})",
            f"controlnet_conditioning_scale (number, {_range(CONTROL_RANGE)}; "
            f"{unless.controlnet_conditioning_scale:g} unless given)",
            "control_guidance_start and control_guidance_end (shares of the run between which it is asked, 0 to 1)",
        ]
    if facts.loras:
        known = f"{_range(LORA_RANGE)}, at most {MOST_LORAS}; known: {', '.join(facts.loras)}"
        fields.append(f'loras (an object such as {{"{next(iter(facts.loras))}": 0.8}}: names and weights {known})')
    return (
        f"A recipe is a JSON object, for example {json.dumps(A_RECIPE)}. Its fields, all optional: {'; '.join(fields)}."
    )


def sweep_in_words(facts: Facts) -> str:
    """What a sweep for this model may have, in the same way."""
    models = ""
    if facts.others:
        models = (
            f'"model" may be in base and an axis: {", ".join([facts.name, *facts.others])}; one that the size does not '
            'fit draws in its own, or in that of {"model": name, "width": pixels, "height": pixels} as a value. '
        )
    return (
        f'A JSON object {{"base": recipe, "axes": {{field: [values]}}}}, for example {json.dumps(A_SWEEP)}. One to '
        f"{MOST_AXES} axes, the last varying fastest, at most {MOST_CELLS} pictures: any field of a recipe, "
        f'"{LORA_PREFIX}NAME" (a LoRA\'s weight), "{WORDS_PREFIX}TEXT" (its values take the place of TEXT in the '
        f'prompt) or "{SIZE}" (pixels per side). "seeds": k beside base and axes draws every cell with k seeds. '
        f"{models}{recipe_in_words(facts)}"
    )


def _range(limits: tuple[float, float]) -> str:
    return f"{limits[0]:.15g} to {limits[1]:.15g}"
