"""From the values of the form to a Sweep, or to one sentence for each field that is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.sweep import AXES, LORA_PREFIX, Sweep, lora_of, parse_lines, parse_numbers, varied
from playground.ui.shared.fields import LABELS, TEXTS, checked
from playground.ui.shared.words import LORA_WEIGHT

NUMBERS = ("guidance_scale", "num_inference_steps", "seed", LORA_WEIGHT)  # axes whose values are typed as a list
VALUES = "values"  # the error slot of the value editor
LORAS = "loras"  # the error slot of the LoRAs' weights
FEWEST = 2  # values that make a comparison


@dataclass(frozen=True)
class Reading:
    """What the form says: a sweep, or the errors that stand in its way."""

    sweep: Sweep | None
    errors: dict[str, str] = field(default_factory=dict)  # field, LORAS or VALUES -> one sentence


def read_form(values: Mapping[str, Any], base: Recipe) -> Reading:
    """`values` holds the fields of a recipe, `axis`, and `values` as the editor of that axis gives them.

    Where the model has LoRAs, also `loras`, the weight or None of each, and `lora`, the one that the axis LORA_WEIGHT
    varies. The field that is varied is not checked: its value is not used.
    """
    axis = values.get("axis")
    if axis == LORA_WEIGHT and values.get("lora"):
        axis = f"{LORA_PREFIX}{values['lora']}"
    elif axis not in AXES:
        return Reading(None, {VALUES: "Choose which LoRA to vary." if axis == LORA_WEIGHT else "Choose what to vary."})
    base, errors = checked(base, {name: values.get(name) for name in LABELS if name != axis})
    try:
        weights = values.get(LORAS) or {}
        base = base.replace(
            loras={name: weight for name, weight in weights.items() if weight and name != lora_of(axis)}
        )
    except Refusal as refusal:
        errors[LORAS] = str(refusal)
    parsed: list[Any] = []
    try:
        parsed = parse_values(axis, values.get(VALUES))
        if len(parsed) < FEWEST:
            raise Refusal("A comparison needs at least two values.")
        for value in parsed:
            varied(base, {axis: value})  # where it will stand, so that the sentence can name the value's own problem
    except Refusal as refusal:
        errors[VALUES] = str(refusal)
    if errors:
        return Reading(None, errors)
    try:
        return Reading(Sweep(base, {axis: parsed}))
    except Refusal as refusal:
        return Reading(None, {VALUES: str(refusal)})


def key_of(axis: str) -> str:
    """A sweep's axis -> what is chosen under "Vary": LORA_WEIGHT for a LoRA's weight."""
    return axis if lora_of(axis) is None else LORA_WEIGHT


def is_number(axis: str) -> bool:
    """True for axes whose values are typed as a list of numbers."""
    return key_of(axis) in NUMBERS


def parse_values(axis: str, typed: Any) -> list[Any]:
    """What the editor of an axis holds -> the values. Raises Refusal with one sentence."""
    if is_number(axis):
        return list(parse_numbers(str(typed or ""), axis))
    if axis in TEXTS:
        return parse_lines(str(typed or ""), axis)
    return list(typed or [])


def typed_values(axis: str, values: list[Any]) -> Any:
    """The inverse of `parse_values`: what the editor shows for these values."""
    if is_number(axis):
        return ", ".join(f"{v:.15g}" for v in values)
    if axis in TEXTS:
        return "\n".join(v or "-" for v in values)
    return list(values)
