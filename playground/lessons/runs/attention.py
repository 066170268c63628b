"""Where words look: each cell is the attention that one word got, over the whole run, drawn in grey."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from playground.engine import Engine
from playground.inside.attention import Attention, entries, watch, word_map
from playground.lessons.runs.contract import OneEach, Outcome, Preview, taken
from playground.lessons.runs.pictures import Pictures
from playground.models import Facts
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.store import Store

SIDE = 128  # pixels of a drawn map
EDGE = 8  # an eighth of the side, all around
MOST_WORDS = 5


@dataclass(frozen=True)
class Looks(OneEach):
    """One cell for each of `words` of the prompt, and the finished picture as the last one."""

    base: Mapping[str, Any]
    words: tuple[str, ...]
    model: str = "pocket"

    measures: ClassVar[tuple[str, ...]] = ("edge",)

    def labels(self, facts: Facts) -> Sequence[str]:
        self.recipe(facts)
        return [*(f"“{word}”" for word in self.words), "the picture"]

    def recipe(self, facts: Facts) -> Recipe:
        if facts.no_attention:
            raise Refusal(facts.no_attention)
        ((recipe,),) = Pictures(self.base, (("", {"seed": self.base.get("seed", 0)}),), model=self.model).recipes(facts)
        return recipe

    def denoised(self, facts: Facts) -> Sequence[Recipe]:
        return [self.recipe(facts)]

    def perform(self, engine: Engine, store: Store, visitor: str = "") -> Iterator[Preview | Outcome]:
        begun = time.perf_counter()
        found: Attention | None = None
        for event in watch(engine, self.recipe(engine.facts), visitor):
            if isinstance(event, Attention):
                found = event
            else:
                yield Preview(len(self.words), None, event[0] / event[1])
        positions = {entry.text: entry.positions for entry in entries(found.words)}
        finest = next(iter(found.maps.values()))
        maps = []
        for word in self.words:
            if word not in positions:
                raise Refusal(f"This model's tokenizer has no word “{word}” in that prompt.")
            maps.append(word_map(finest, positions[word]).mean(0).numpy())
        pictures = [_drawn(map_) for map_ in maps]
        edges = [at_the_edge(map_) for map_ in maps]
        yield Outcome((*pictures, found.picture), {"edge": (*edges, None)}, time.perf_counter() - begun)


def at_the_edge(map_: np.ndarray) -> float:
    """(rows, columns) ≥ 0 -> share of its sum in the outer eighth on each side"""
    rows, columns = map_.shape
    top, left = max(rows // EDGE, 1), max(columns // EDGE, 1)
    return float(1 - map_[top : rows - top, left : columns - left].sum() / max(float(map_.sum()), 1e-12))


def read(data: Mapping[str, Any], model: str) -> Looks:
    """{base, words: […]} -> Looks"""
    taken(data, {"base": dict, "words": list}, ["base", "words"])
    prompt = Recipe.from_dict(data["base"]).prompt
    words = data["words"]
    if not 1 < len(words) <= MOST_WORDS or not all(isinstance(word, str) for word in words):
        raise Refusal(f"“words” needs 2 to {MOST_WORDS} words of the prompt.")
    for word in words:
        if word not in prompt.replace(",", " ").split():
            raise Refusal(f"“{word}” is not a word of the prompt.")
    return Looks(data["base"], tuple(words), model)


def _drawn(map_: np.ndarray) -> Image.Image:
    """White where most of this word's attention is, black where none is."""
    levels = (map_ / max(float(map_.max()), 1e-12) * 255).round().astype(np.uint8)
    return Image.fromarray(levels).resize((SIDE, SIDE), Image.Resampling.BICUBIC).convert("RGB")
