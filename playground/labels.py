"""What axes and their values are called wherever a person reads them: above a cell, in a file, in a table."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from playground.recipe import LATE, Recipe
from playground.samplers import SAMPLERS
from playground.sweep import SIZE, Sweep, lora_of, words_exchanged

Honours = Callable[[str, Recipe], bool]  # whether a recipe's picture depends on this field of it
SHORT = 12  # digits of a picture's digest that are shown
LONG = 12  # values, beyond which only the ends of a list are told
PICTURES = {"image": "from noise", "control_image": "none"}  # fields that name a picture, and what none is called
CONTROLS = ("controlnet_conditioning_scale", "control_guidance_start", "control_guidance_end")
NEEDS = {"strength": "image"} | dict.fromkeys(CONTROLS, "control_image")  # fields that are not used without another
FIELD_NAMES = {
    "prompt": "Prompt",
    "negative_prompt": "Negative prompt",
    "prompt_weights": "Prompt weights",
    "sampler": "Sampler",
    "num_inference_steps": "Steps",
    "guidance_scale": "Guidance scale",
    "true_cfg_scale": "True CFG scale",
    "guidance_rescale": "Guidance rescale",
    "eta": "Eta",
    "clip_skip": "Clip skip",
    "shift": "Shift",
    "seed": "Seed",
    "loras": "LoRAs",
    "image": "Start picture",
    "strength": "Strength",
    "control_image": "Control picture",
    "controlnet_conditioning_scale": "Control scale",
    "control_guidance_start": "Control from",
    "control_guidance_end": "Control until",
    "width": "Width",
    "height": "Height",
    "model": "Model",
}


@dataclass(frozen=True)
class Axis:
    """One axis of a grid: its key in the sweep, its values, and what both are called."""

    key: str
    values: list[Any]
    name: str
    labels: list[str]

    @property
    def is_number(self) -> bool:
        """Its values can stand on a scale."""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)


def axis_name(axis: str) -> str:
    """A sweep's axis as people call it: a field's name; of a LoRA's weight or exchanged words also which."""
    if axis in FIELD_NAMES:
        return FIELD_NAMES[axis]
    if (name := lora_of(axis)) is not None:
        return f"Weight of {name}"
    if (text := words_exchanged(axis)) is not None:
        return f"“{text}” exchanged"
    return axis.capitalize()


def inside(label: str) -> str:
    """A label as it stands inside a sentence: "true CFG scale"."""
    return label[0].lower() + label[1:]


def in_short(values: Sequence[str]) -> str:
    """With commas, or the ends of a long list."""
    return ", ".join(values if len(values) <= LONG else [*values[:3], "…", *values[-1:]])


def value_label(axis: str, value: Any) -> str:
    """A value as it stands above its cell."""
    if axis == "sampler":
        return SAMPLERS[value].label
    if (name := lora_of(axis)) is not None:
        return lora_label(name, value)
    if axis == "loras":
        return " + ".join(lora_label(*pair) for pair in sorted(dict(value).items())) or "no LoRA"
    if axis in PICTURES:
        return value[:SHORT] if value else PICTURES[axis]
    if axis == SIZE:
        return f"{value} × {value}"
    if axis == "model" and isinstance(value, Mapping):
        return f"{value['model']} {value['width']} × {value['height']}"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        return _number(value)
    return str(value) if value != "" else "none"


def named(axis: str, label: str) -> str:
    """A value's label where the axis is not written beside it: "Steps 20". A LoRA's says itself what it is."""
    return label if lora_of(axis) is not None else f"{axis_name(axis)} {label}"


def lora_label(name: str, weight: float) -> str:
    """ "ink 0.5" """
    return f"{name} {_number(weight)}"


def axes_of(sweep: Sweep) -> list[Axis]:
    """The axes of a grid, the slowest first. Where each cell is drawn with several seeds, they are the last axis."""
    axes = [
        Axis(key, list(values), axis_name(key), [value_label(key, value) for value in values])
        for key, values in sweep.axes.items()
    ]
    recipes = sweep.recipes()
    if (seeds := len(recipes) // math.prod(len(axis.values) for axis in axes)) > 1:
        values = [recipe.seed for recipe in recipes[:seeds]]
        axes.append(Axis("seed", list(values), axis_name("seed"), [value_label("seed", value) for value in values]))
    return axes


def everything(name: str, recipe: Recipe) -> bool:
    """Of a model of which nothing is known."""
    return True


def common_of(recipes: Sequence[Recipe], honours: Honours = everything) -> str:
    """The settings that are the same in all recipes, as one line: 'Prompt: red apple · Seed: 7 · …'. Those on which no
    picture depends are not named."""
    parts = []
    for name, label in FIELD_NAMES.items():
        if name in NEEDS and not any(getattr(recipe, NEEDS[name]) for recipe in recipes):
            continue
        if not any(honours(name, recipe) for recipe in recipes):
            continue
        found, value = {str(getattr(recipe, name)) for recipe in recipes}, getattr(recipes[0], name)
        unused = name not in NEEDS and value == LATE.get(name)
        if len(found) == 1 and not unused and (value or name == "seed"):
            parts.append(f"{label}: {value_label(name, value)}")
    return " · ".join(parts)


def _number(value: float) -> str:
    return f"{value:.15g}".replace("-", "−")
