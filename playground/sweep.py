"""A Sweep is a recipe with one or two of its fields varied; the parsers turn what people type into values."""

import itertools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playground.recipe import FIELDS, Recipe
from playground.refusal import Refusal

MOST_CELLS = 64  # pictures in one sweep
AXES = ("guidance_scale", "num_inference_steps", "sampler", "seed", "negative_prompt", "prompt")
LORA_PREFIX = "loras."  # of an axis over one LoRA's weight: "loras.ink" is the axis of the LoRA named ink
_WHOLE = {"num_inference_steps", "seed"}


@dataclass(frozen=True)
class Sweep:
    """`axes` maps one or two recipe fields to their values; the last axis varies fastest (columns).

    The axis "loras.NAME" sets the weight of that LoRA in every cell and leaves the others as they are.
    """

    base: Recipe
    axes: dict[str, list[Any]]

    def __post_init__(self) -> None:
        if not 1 <= len(self.axes) <= 2:
            raise Refusal("A sweep varies one or two fields.")
        for name, values in self.axes.items():
            if name not in FIELDS and lora_of(name) is None:
                raise Refusal(f"{name!r} is not a field of a recipe.")
            if not isinstance(values, list | tuple) or not values:
                raise Refusal(f"{name} needs at least one value.")
        count = math.prod(len(v) for v in self.axes.values())
        if count > MOST_CELLS:
            raise Refusal(f"A grid can have at most {MOST_CELLS} pictures; this one would have {count:,}.")
        object.__setattr__(self, "axes", {k: list(v) for k, v in self.axes.items()})
        self.recipes()  # every cell is checked before any of them runs

    def recipes(self) -> list[Recipe]:
        """Row-major: the first axis gives rows, the last one columns."""
        names = list(self.axes)
        return [varied(self.base, dict(zip(names, v, strict=True))) for v in itertools.product(*self.axes.values())]

    def to_dict(self) -> dict[str, Any]:
        return {"base": self.base.to_dict(), "axes": self.axes}

    @classmethod
    def from_dict(cls, data: Any, recipe: Callable[[Any], Recipe] = Recipe.from_dict) -> "Sweep":
        """Reads `to_dict`; `recipe` reads the base, such as a model's own `Facts.recipe`."""
        if not isinstance(data, dict) or set(data) != {"base", "axes"} or not isinstance(data.get("axes"), dict):
            raise Refusal('A sweep must be a JSON object {"base": {…recipe…}, "axes": {"field": [values]}}.')
        return cls(recipe(data["base"]), data["axes"])


def lora_of(axis: str) -> str | None:
    """The name of the LoRA whose weight this axis varies; None for the axes of whole fields."""
    return axis.removeprefix(LORA_PREFIX) if axis.startswith(LORA_PREFIX) else None


def varied(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """The recipe with these values on these axes. Raises Refusal for any that could not run."""
    recipe = recipe.replace(**{axis: value for axis, value in values.items() if lora_of(axis) is None})
    weights = {name: value for axis, value in values.items() if (name := lora_of(axis)) is not None}
    return recipe.replace(loras=dict(recipe.loras) | weights) if weights else recipe


def value_of(recipe: Recipe, axis: str) -> Any:
    """Where a recipe stands on an axis; a LoRA that it does not have stands at 0."""
    name = lora_of(axis)
    return getattr(recipe, axis) if name is None else dict(recipe.loras).get(name, 0.0)


def parse_numbers(text: str, field: str) -> list[int] | list[float]:
    """ "1, 3, .., 15" or "5 10 20" -> numbers, for one of the number fields.

    `..` between two numbers continues the step before it, or counts by one. Whole-number fields refuse decimals.
    Raises Refusal with one sentence that quotes the part that is not a number.
    """
    parts = [p for p in re.split(r"[,;\s]+", text.strip()) if p]
    if not parts:
        raise Refusal(f"{field} needs at least one value, for example 1, 3, 5.")
    values: list[float] = []
    i = 0
    while i < len(parts):
        if parts[i] in ("..", "...", "…"):
            if not values or i + 1 == len(parts):
                raise Refusal("A range needs a number before and after the dots, as in 1, 3, .., 15.")
            _extend(values, _number(parts[i + 1], field))
            i += 1
        else:
            values.append(_number(parts[i], field))
        i += 1
        if len(values) > MOST_CELLS:
            raise Refusal(f"A grid can have at most {MOST_CELLS} pictures; these are more values than that.")
    repeated = {v for v in values if values.count(v) > 1}
    if repeated:
        raise Refusal(f"{min(repeated):g} is listed twice; every value should differ.")
    return [int(v) for v in values] if field in _WHOLE else values


def parse_lines(text: str, field: str) -> list[str]:
    """One prompt a line -> prompts; for the negative prompt a line with only a dash means "none"."""
    lines = [line.strip() for line in text.splitlines()]
    values = ["" if line == "-" else line for line in lines if line]
    if not values:
        raise Refusal(f"{field} needs at least one line.")
    if len(values) > MOST_CELLS:
        raise Refusal(f"A grid can have at most {MOST_CELLS} pictures; this list has {len(values):,} lines.")
    if len(set(values)) < len(values):
        raise Refusal("A line is listed twice; every value should differ.")
    return values


def _number(text: str, field: str) -> float:
    wanted = "a whole number" if field in _WHOLE else "a number"
    shown = text if len(text) <= 20 else text[:17] + "…"
    try:
        value = float(text.replace("−", "-"))  # as the page writes it
    except ValueError:
        raise Refusal(f"“{shown}” is not {wanted}.") from None
    if not math.isfinite(value) or (field in _WHOLE and value != int(value)):
        raise Refusal(f"“{shown}” is not {wanted}.")
    return value


def _extend(values: list[float], end: float) -> None:
    """Continue an arithmetic series up to `end`, which must lie on it."""
    step = values[-1] - values[-2] if len(values) > 1 else math.copysign(1, end - values[-1])
    count = (end - values[-1]) / step if step else 0
    if count < 1 or abs(count - round(count)) > 1e-6:
        raise Refusal(f"The range does not reach {end:g} in steps of {step:g}.")
    if count > MOST_CELLS:
        raise Refusal(f"A grid can have at most {MOST_CELLS} pictures; this range has {round(count):,} values.")
    first = values[-1]
    values.extend(round(first + step * k, 9) for k in range(1, round(count) + 1))
