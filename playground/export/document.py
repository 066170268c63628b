"""The one JSON that form, picture, file, link and API carry, read in each of its shapes.

`{"base": {…}, "axes": {…}}` is a sweep; `{"title": …, "sweep": {…}}` a file of examples/recipes; `{"recipe": {…}}` what
a picture carries; any other object one recipe.
"""

import json
from collections.abc import Callable
from typing import Any

from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.sweep import Sweep

LONGEST = 2**20  # characters


def read_json(text: str, recipe: Callable[[Any], Recipe] = Recipe.from_dict) -> Sweep:
    """JSON -> the sweep that it means; one recipe is a grid of one picture. `recipe` as in `Sweep.from_dict`.

    Raises Refusal with one sentence for anything else.
    """
    if len(text) > LONGEST:
        raise Refusal("The JSON is longer than a megabyte, which no recipe is.")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise Refusal("This is not valid JSON.") from None
    return read_data(data, recipe)


def read_data(data: Any, recipe: Callable[[Any], Recipe] = Recipe.from_dict) -> Sweep:
    """The same of data that are parsed already."""
    if isinstance(data, dict) and "sweep" in data:
        data = data["sweep"]
    if isinstance(data, dict) and "recipe" in data:
        return alone(recipe(data["recipe"]))
    if isinstance(data, dict) and "axes" not in data:
        return alone(recipe(data))
    return Sweep.from_dict(data, recipe)


def alone(recipe: Recipe) -> Sweep:
    """One recipe as a grid of one picture."""
    return Sweep(recipe, {"seed": [recipe.seed]})


def to_json(sweep: Sweep) -> str:
    """The inverse of `read_json`, for people to read as well."""
    return json.dumps({"sweep": sweep.to_dict()}, ensure_ascii=False, indent=2) + "\n"
