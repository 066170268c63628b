"""From the values of the form to a Sweep, or to one sentence for each field that is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from playground.labels import CONTROLS, NEEDS
from playground.recipe import FIELDS, LATE, Recipe
from playground.refusal import Refusal
from playground.sweep import (
    LORA_PREFIX,
    SIZE,
    WORDS_PREFIX,
    Sweep,
    lora_of,
    model_of,
    parse_lines,
    parse_numbers,
    varied,
)
from playground.ui.shared.fields import TEXTS, checked, plain
from playground.ui.shared.offered import FEWEST
from playground.ui.shared.spoken import spoken
from playground.ui.shared.words import AXES, LORA_WEIGHT, WORDS, key_of

# axes whose values are typed as a list of numbers
NUMBERS = ("guidance_scale", "true_cfg_scale", "num_inference_steps", "seed", "guidance_rescale", "eta", "clip_skip")
NUMBERS += ("shift", "strength", *CONTROLS, SIZE, LORA_WEIGHT)
LINES = (*TEXTS, WORDS)  # and those of which each value is a line
SLOTS = ("tabs", "rows", "columns")  # where an axis can lie, outermost first, as in a sweep
VALUES = "values"  # by axis, what its editor holds; with a key behind it, the error slot of that editor
LORAS = "loras"  # the error slot of the LoRAs' weights
SEEDS = "seeds"  # pictures per cell
NO_CONTROL = "Choose a picture under “Control with a picture” first; without one this changes nothing."
NO_START = "Choose a picture under “Start from a picture” first; from noise, strength changes nothing."
MOST_SEEDS = 16  # per cell: four by four pictures in the place of one


@dataclass(frozen=True)
class Reading:
    """What the form says: a sweep, or the errors that stand in its way."""

    sweep: Sweep | None
    errors: dict[str, str] = field(default_factory=dict)  # field, slot, LORAS, SEEDS or `values_slot` -> one sentence
    parsed: dict[str, list[Any]] = field(default_factory=dict)  # axis as it is chosen -> its values, where right
    left: Sequence[Recipe] = ()  # of the sweep what is not kept and can be drawn
    beyond: Mapping[str, str] = field(default_factory=dict)  # axis -> HTML: what its lines ask beyond the model


def values_slot(key: str) -> str:
    """The error slot of the editor of an axis."""
    return f"{VALUES}-{key}"


def read_form(values: Mapping[str, Any], base: Recipe) -> Reading:
    """`values` holds fields of a recipe, what lies in each of SLOTS, and under VALUES what each axis' editor gives.

    SEEDS is how many pictures each cell has. Where the model has LoRAs there are also LORAS, the weight or None of
    each, and `lora`, the one that the axis LORA_WEIGHT varies. A field that is varied is not checked: its value is not
    used.
    """
    keys = [key for slot in SLOTS if (key := values.get(slot)) is not None]
    if values.get("columns") is None or not all(isinstance(key, str) and key in AXES for key in keys):
        return Reading(None, {"columns": "Choose what to vary."})
    errors: dict[str, str] = {}
    if len(set(keys)) < len(keys):
        errors["rows"] = "Each axis needs something of its own to vary."
    alone = FIELDS - {LORAS, *NEEDS, *NEEDS.values()}
    given = {name: value for name, value in values.items() if name in alone and not _covered(name, keys)}
    base, wrong = checked(base, given)
    errors |= wrong
    base = _given(base, values, keys, errors, "image", ("strength",), NO_START)
    base = _given(base, values, keys, errors, "control_image", CONTROLS, NO_CONTROL)
    try:
        weights = values.get(LORAS) or {}
        varies = values.get("lora") if LORA_WEIGHT in keys else None
        base = base.replace(loras={name: weight for name, weight in weights.items() if weight and name != varies})
    except Refusal as refusal:
        errors[LORAS] = str(refusal)
    seeds = 1
    try:
        seeds = _seeds(values.get(SEEDS, 1), keys)
    except Refusal as refusal:
        errors[SEEDS] = str(refusal)
    axes, parsed = _axes(keys, values, base, errors)
    if not errors:
        try:
            return Reading(Sweep(base, axes, seeds), parsed=parsed)
        except Refusal as refusal:
            errors[values_slot(keys[-1])] = str(refusal)
    return Reading(None, {name: spoken(sentence) for name, sentence in errors.items()}, parsed)


def _given(
    base: Recipe,
    values: Mapping[str, Any],
    keys: list[str],
    errors: dict[str, str],
    picture: str,
    needing: Sequence[str],
    without: str,
) -> Recipe:
    """The base with a picture that it is given, and what says how; without the picture that is not used, so not told.

    `needing`: the fields that need it. What is wrong goes into `errors`; `without` is said at an axis that needs it.
    """
    name = values.get(picture) or ""
    if not name:
        errors |= {values_slot(key): without for key in needing if key in keys}
        return base.replace(**{picture: ""}, **{key: LATE[key] for key in needing})
    how = {key: plain(key, values.get(key)) for key in needing if key not in keys}
    try:
        return base.replace(**{picture: name}, **how)
    except Refusal as refusal:
        errors[str(refusal).split()[0]] = str(refusal)
        return base


def _axes(
    keys: list[str], values: Mapping[str, Any], base: Recipe, errors: dict[str, str]
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """The axes of the sweep, and by what is chosen their values; what is wrong goes into `errors`."""
    axes, parsed, editors = {}, {}, values.get(VALUES) or {}
    for key in dict.fromkeys(keys):
        try:
            found = parse_values(key, editors.get(key))
            if len(found) < FEWEST:
                raise Refusal("A comparison needs at least two values.")
            axis = _axis(key, values.get("lora"), found)
            for value in found:
                varied(base, {axis: value})  # where it will stand, so that the sentence can name its own problem
            axes[axis] = parsed[key] = found
        except Refusal as refusal:
            errors.setdefault(values_slot(key), str(refusal))
    return axes, parsed


def parse_values(key: str, typed: Any) -> list[Any]:
    """What the editor of an axis holds -> the values. Raises Refusal with one sentence."""
    if key in NUMBERS:
        return list(parse_numbers(str(typed or ""), key))
    if key in LINES:
        return parse_lines(str(typed or ""), key)
    return list(typed) if isinstance(typed, list | tuple) else []


def typed_values(key: str, values: list[Any]) -> Any:
    """The inverse of `parse_values`: what the editor shows for these values."""
    if key in NUMBERS:
        return ", ".join(f"{v:.15g}" for v in values)
    if key in LINES:
        return "\n".join(v or "-" for v in values)
    return [model_of(value) for value in values] if key == "model" else list(values)


def slots_of(sweep: Sweep) -> dict[str, str | None]:
    """What lies in each slot for this sweep, as it is chosen in the form."""
    keys = [key_of(axis) for axis in sweep.axes]
    return dict(zip(SLOTS, [None] * (len(SLOTS) - len(keys)) + keys, strict=True))


def lora_varied(sweep: Sweep) -> str | None:
    """The LoRA whose weight is an axis."""
    return next((name for axis in sweep.axes if (name := lora_of(axis)) is not None), None)


def _axis(key: str, lora: Any, values: list[Any]) -> str:
    """What is chosen -> the axis of the sweep."""
    if key == LORA_WEIGHT:
        if not isinstance(lora, str) or not lora:
            raise Refusal("Choose which LoRA to vary.")
        return f"{LORA_PREFIX}{lora}"
    return f"{WORDS_PREFIX}{values[0]}" if key == WORDS else key


def _covered(name: str, keys: list[str]) -> bool:
    """The field takes its value from an axis."""
    return name in keys or (SIZE in keys and name in ("width", "height"))


def _seeds(value: Any, keys: list[str]) -> int:
    value = plain("seed", value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_SEEDS:
        raise Refusal(f"Seeds per cell must be a whole number from 1 to {MOST_SEEDS}.")
    if value > 1 and "seed" in keys:
        raise Refusal("The seed is an axis already; with several seeds per cell, vary something else.")
    return value
