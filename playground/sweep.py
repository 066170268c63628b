"""A Sweep is a recipe with one to three of its fields varied; the parsers turn what people type into values."""

import hashlib
import itertools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from playground.recipe import FIELDS, SEED_RANGE, Recipe, figures
from playground.refusal import Refusal

MOST_CELLS = 256  # pictures in one sweep
MOST_AXES = 3  # several seeds per cell count as one
SIZE = "size"  # the axis of width and height together: pixels per side of a square picture
AXES = (
    "guidance_scale",
    "num_inference_steps",
    "sampler",
    "seed",
    "negative_prompt",
    "prompt",
    "model",
    "true_cfg_scale",
    "guidance_rescale",
    "strength",
    "controlnet_conditioning_scale",
    "control_guidance_start",
    "control_guidance_end",
    "eta",
    "clip_skip",
    "shift",
    SIZE,
)
LORA_PREFIX = "loras."  # of an axis over one LoRA's weight: "loras.ink" is the axis of the LoRA named ink
WORDS_PREFIX = "words."  # of an axis over words exchanged in the prompt: "words.apple" exchanges the word apple
_WHOLE = {"num_inference_steps", "seed", "clip_skip", SIZE}
_SIDES = ("width", "height")


@dataclass(frozen=True)
class Sweep:
    """`axes` maps one to three axes to their values; the last one varies fastest: columns, before it rows, then tabs.

    An axis is a field of a recipe, or "loras.NAME", which sets the weight of that LoRA and leaves the others as they
    are, or "words.TEXT", which puts its values where TEXT stands in the prompt, or SIZE. A value of the axis "model" is
    a name, or {"model": name, "width": …, "height": …} where that model draws in a size of its own. With `seeds` above
    1 each cell is drawn with that many seeds, counted on from the base's.
    """

    base: Recipe
    axes: dict[str, list[Any]]
    seeds: int = 1  # pictures per cell

    def __post_init__(self) -> None:
        if not self.axes:
            raise Refusal("A sweep varies at least one field.")
        if isinstance(self.seeds, bool) or not isinstance(self.seeds, int) or self.seeds < 1:
            raise Refusal("seeds must be a whole number from 1 on: how many pictures each cell has.")
        if self.seeds > 1 and "seed" in self.axes:
            raise Refusal("Several seeds per cell and an axis of seeds exclude each other.")
        if len(self.axes) + (self.seeds > 1) > MOST_AXES:
            raise Refusal(f"A sweep varies at most {MOST_AXES} things, several seeds per cell included.")
        for name, values in self.axes.items():
            if name not in FIELDS and name != SIZE and lora_of(name) is None and not words_exchanged(name):
                raise Refusal(f"{_short(name)!r} is not a field of a recipe.")
            if not isinstance(values, list | tuple) or not values:
                raise Refusal(f"{_short(name)} needs at least one value.")
        if self.own_sizes and (twice := next((axis for axis in (SIZE, *_SIDES) if axis in self.axes), None)):
            raise Refusal(f"{twice} cannot be varied where models have sizes of their own.")
        count = math.prod(len(v) for v in self.axes.values()) * self.seeds
        if count > MOST_CELLS:
            raise Refusal(f"A grid can have at most {MOST_CELLS} pictures; this one would have {figures(count, ',')}.")
        object.__setattr__(self, "axes", {k: list(v) for k, v in self.axes.items()})
        self.recipes()  # every cell is checked before any of them runs

    @property
    def flat(self) -> "Sweep":
        """The same pictures in the same order, with the seeds of each cell as the last axis."""
        if self.seeds == 1:
            return self
        return Sweep(self.base, self.axes | {"seed": self._seeds()})

    @property
    def own_sizes(self) -> bool:
        """Some of the models that it varies have a size of their own."""
        return any(isinstance(value, Mapping) for value in self.axes.get("model", ()))

    def places(self) -> list[dict[str, Any]]:
        """Axis -> value for every picture of `flat`, in the order of `recipes`."""
        axes = self.axes | ({"seed": self._seeds()} if self.seeds > 1 else {})
        return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]

    def recipes(self) -> list[Recipe]:
        """Row-major: the last axis varies fastest, and the seeds within a cell faster still."""
        return [varied(self.base, place) for place in self.places()]

    def digest(self) -> str:
        """12 hexadecimal digits of what is asked for: the pictures, and how they are laid out."""
        shape = (f"{name}:{len(values)}" for name, values in self.axes.items())
        parts = [*shape, str(self.seeds), *(recipe.digest() for recipe in self.recipes())]
        return hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `seeds` is absent where each cell has one."""
        data = {"base": self.base.to_dict(), "axes": self.axes}
        return data | ({"seeds": self.seeds} if self.seeds > 1 else {})

    @classmethod
    def from_dict(cls, data: Any, recipe: Callable[[Any], Recipe] = Recipe.from_dict) -> "Sweep":
        """Reads `to_dict`; `recipe` reads the base, such as a model's own `Facts.recipe`."""
        if (
            not isinstance(data, dict)
            or set(data) - {"seeds"} != {"base", "axes"}
            or not isinstance(data.get("axes"), dict)
        ):
            raise Refusal('A sweep must be a JSON object {"base": {…recipe…}, "axes": {"field": [values]}}.')
        return cls(recipe(data["base"]), data["axes"], data.get("seeds", 1))

    def _seeds(self) -> list[int]:
        """They go on at 0 after the largest one."""
        return [(self.base.seed + k) % (SEED_RANGE[1] + 1) for k in range(self.seeds)]


def lora_of(axis: str) -> str | None:
    """The name of the LoRA whose weight this axis varies; None for other axes."""
    return axis.removeprefix(LORA_PREFIX) if axis.startswith(LORA_PREFIX) else None


def words_exchanged(axis: str) -> str | None:
    """The words of the prompt that this axis exchanges; None for other axes."""
    return axis.removeprefix(WORDS_PREFIX) if axis.startswith(WORDS_PREFIX) else None


def varied(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """The recipe with these values on these axes. Raises Refusal for any that could not run."""
    fields, weights, words = {}, {}, {}
    for axis, value in values.items():
        if (name := lora_of(axis)) is not None:
            weights[name] = value
        elif (text := words_exchanged(axis)) is not None:
            words[text] = value
        elif axis == SIZE:
            fields |= {"width": value, "height": value}
        elif axis == "model" and isinstance(value, Mapping):
            fields |= _with_size(value)
        else:
            fields[axis] = value
    recipe = recipe.replace(**fields)
    if words:
        recipe = recipe.replace(prompt=exchanged(recipe.prompt, words))
    return recipe.replace(loras=dict(recipe.loras) | weights) if weights else recipe


def model_of(value: Any) -> str:
    """The name in a value of the axis "model"."""
    return str(value.get("model", "")) if isinstance(value, Mapping) else str(value)


def _with_size(value: Mapping[str, Any]) -> dict[str, Any]:
    if set(value) != {"model", *_SIDES}:
        raise Refusal('A value of model is a name, or an object {"model": name, "width": pixels, "height": pixels}.')
    return dict(value)


def exchanged(prompt: str, words: dict[str, str]) -> str:
    """The prompt with other words in the place of some, each wherever it stands as a word of its own.

    All are looked for in the prompt as it was, so that one exchange does not meet what another put there. Raises
    Refusal for words that the prompt does not have.
    """
    for text, value in words.items():
        if not isinstance(value, str):
            raise Refusal(f"What takes the place of “{_short(text)}” must be text.")
        if not re.search(_alone(text), prompt, re.IGNORECASE):
            raise Refusal(f"The prompt does not have “{_short(text)}”, which is to be exchanged.")
    lower = {text.lower(): value for text, value in words.items()}
    longest_first = sorted(words, key=len, reverse=True)
    return re.sub("|".join(map(_alone, longest_first)), lambda m: lower[m[0].lower()], prompt, flags=re.IGNORECASE)


def same_pictures(recipes: list[Recipe], used: Callable[[Recipe], Recipe]) -> int:
    """How many of them are certain to be the picture of another one. `used`: what of a recipe its model looks at."""
    return len(recipes) - len(set(map(used, recipes)))


def same_starts(recipes: list[Recipe]) -> int:
    """How many of them are certain to be the picture of another one, because the strength makes no difference: from
    noise it is not used, and from a picture two strengths can run the same steps."""
    used = {(recipe.replace(strength=1), recipe.steps_run) for recipe in recipes}
    return len(set(recipes)) - len(used)


def parse_numbers(text: str, field: str) -> list[int] | list[float]:
    """ "1, 3, .., 15" or "5 10 20" or "4–40 × 5" -> numbers, for one of the number fields.

    `..` between two numbers continues the step before it, or counts by one; `4–40 × 5` is five numbers, equally far
    apart, from 4 to 40, rounded for whole-number fields. Those refuse decimals. Raises Refusal with one sentence that
    quotes the part that is not a number.
    """
    spread = re.sub(_SPREAD, lambda m: _spread(m, field), text)
    parts = [p for p in re.split(r"[,;\s]+", spread.strip()) if p]
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


_NUMBER = r"[-−]?\d+(?:\.\d+)?"
_SPREAD = rf"(?<![\d.])({_NUMBER})\s*[-–—]\s*({_NUMBER})\s*[×x*]\s*(\d+)"  # 4–40 × 5, also typed as 4-40 x 5


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
    if count > MOST_CELLS:
        raise Refusal(f"A grid can have at most {MOST_CELLS} pictures; this range has more values than that.")
    if not count >= 1 or abs(count - round(count)) > 1e-6:  # NaN, where the numbers are too large, is none either
        raise Refusal(f"The range does not reach {end:g} in steps of {step:g}.")
    first = values[-1]
    values.extend(round(first + step * k, 9) for k in range(1, round(count) + 1))


def _spread(match: re.Match[str], field: str) -> str:
    """ "4–40 × 5" -> "4 13 22 31 40" """
    low, high, count = _number(match[1], field), _number(match[2], field), int(match[3][:9])
    if not 2 <= count <= MOST_CELLS:
        raise Refusal(f"A range such as 4–40 × 5 can have 2 to {MOST_CELLS} values, not {count:,}.")
    if not math.isfinite((high - low) * count):
        raise Refusal("The numbers of a range such as 4–40 × 5 are too far apart.")
    values = [low + (high - low) * k / (count - 1) for k in range(count)]
    if field in _WHOLE:
        values = [round(value) for value in values]
        if len(set(values)) < count:
            raise Refusal(f"There are not {count} whole numbers from {low:g} to {high:g}.")
    return f" {' '.join(f'{round(value, 3):.15g}' for value in values)} "


def _alone(text: str) -> str:
    """A pattern that finds the text only where no other letter touches it: "car" is not in "scarf"."""
    return rf"(?<!\w){re.escape(text)}(?!\w)"


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:29] + "…"
