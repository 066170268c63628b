"""Make it again and compare: a picture of ours against the same recipe, drawn now."""

import json
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from playground.engine import Engine, Result
from playground.export.png import ENGINE_KEY, texts_of
from playground.models import Facts
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.render import pictures_of
from playground.store import LONGEST_NOTE, TEXT_KEY, Store

# What rounding makes where cells are batched in another way. In fp32 it shows in single pixels; in half precision all
# over: a cell of a batch of two, drawn again alone in bf16, was 0.6 grey levels off on average, and 11 in one pixel.
EXACT = "fp32"
MOST_EXACT = 2  # of 255, the largest difference of any pixel
MOST_MEAN = 2.0  # of 255, over all pixels, in half precision


@dataclass(frozen=True)
class Receipt:
    """What came of it."""

    recipe: Recipe
    largest: int  # difference of any channel of any pixel, 0 … 255; 255 where the sizes differ
    mean: float  # over all of them
    changed: float  # share of pixels that differ at all, 0 … 1
    seconds: float  # that drawing it again took
    precision: str = EXACT  # that it was drawn in again
    before: str = ""  # precision and device that the file names, where they, or the weights, are not those of now

    @property
    def same(self) -> bool:
        """Up to rounding, see above: in half precision a change of single pixels cannot be told from it."""
        return self.largest <= MOST_EXACT if self.precision == EXACT else self.mean <= MOST_MEAN

    def sentence(self) -> str:
        """For people."""
        if self.largest == 0:
            return f"Made again in {self.seconds:.2f} s: every pixel is the same."
        numbers = f"largest difference {self.largest} of 255, mean {self.mean:.3f}, {self.changed:.1%} of the pixels"
        if self.same:
            rounding = "rounding" if self.precision == EXACT else f"the rounding of {self.precision}"
            return f"Made again in {self.seconds:.2f} s: the same picture up to {rounding} ({numbers})."
        why = f"It was drawn with {self.before}." if self.before else "It was changed, or drawn by another version."
        return f"Made again in {self.seconds:.2f} s: not the same picture ({numbers}). {why}"


def own_recipe(data: bytes) -> tuple[Recipe, Image.Image]:
    """The recipe inside a cell's PNG and its picture. Raises Refusal where it is none of ours, a whole grid, or was
    made elsewhere."""
    texts, picture = texts_of(data)
    if TEXT_KEY not in texts:
        raise Refusal("This PNG is no cell of this playground, so there is no recipe that could be checked.")
    try:
        receipt = json.loads(texts[TEXT_KEY])
    except (ValueError, RecursionError):
        raise Refusal("The recipe inside this picture is damaged.") from None
    if not isinstance(receipt, dict) or "recipe" not in receipt:
        raise Refusal("This picture shows a whole grid; a single cell can be checked.")
    if receipt.get("elsewhere"):
        raise Refusal(f"This picture was {str(receipt['elsewhere'])[:LONGEST_NOTE]}. It cannot be drawn again here.")
    return Recipe.from_dict(receipt["recipe"]), picture


def verify(engine: Engine, data: bytes, store: Store | None = None) -> Receipt:
    """Draw the recipe inside a PNG again, by the engine and never from the store, and compare every pixel.

    Raises Refusal where there is nothing to check, the engine cannot draw it, or the picture that it starts from is not
    in this store.
    """
    recipe, picture = own_recipe(data)
    engine = engine.of(recipe.model)
    engine.check(recipe)
    receipt = compared(picture, engine.render(recipe, pictures_of(store, [recipe]) if store else None))
    return replace(
        receipt,
        precision=engine.facts.precision,
        before=_drawn_with(texts_of(data)[0].get(ENGINE_KEY), engine.facts, recipe),
    )


def _drawn_with(text: str | None, facts: Facts, recipe: Recipe) -> str:
    """What a file says of the engine that drew it, where that is not this one; the rest is for its reader."""
    try:
        said = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return ""
    if not isinstance(said, dict) or said.get("weights") in (None, facts.fingerprint_for(recipe)):
        return ""
    then, now = str(said.get("precision"))[:40], facts.precision
    return f"{then}, where {now} draws now" if then != now else f"other weights, or on another device, in {now} as now"


def compared(before: Image.Image, now: Result) -> Receipt:
    """Two pictures, channel by channel."""
    if before.size != now.image.size:
        return Receipt(now.recipe, 255, 255.0, 1.0, now.seconds)
    a, b = (np.asarray(picture.convert("RGB")).astype(int) for picture in (before, now.image))
    apart = np.abs(a - b)
    return Receipt(
        now.recipe, int(apart.max()), float(apart.mean()), float((apart.max(axis=2) > 0).mean()), now.seconds
    )
