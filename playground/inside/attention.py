"""Cross-attention over a whole run: which words each place of the picture looks at, call by call."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from playground.engine import Done, Engine, Failed, Keep, Step
from playground.inside.walk import check
from playground.models.contract import Look, Size
from playground.models.weighted import chunks_of
from playground.models.words import Words
from playground.recipe import Recipe
from playground.refusal import Refusal

_MARKS = {"start": ("start",), "rest": ("end", "padding")}


@dataclass(frozen=True, eq=False)
class Attention:
    """The attention of one run, averaged over heads and over the layers of equal resolution."""

    recipe: Recipe
    words: Words
    steps: tuple[int, ...]  # U-Net calls that were kept, counted from 1
    timesteps: tuple[float, ...]  # of these
    of: int  # U-Net calls in all
    maps: dict[Size, Tensor]  # (rows, columns) -> (steps, tokens, rows, columns), finest first
    layers: dict[Size, int]  # layers of that resolution
    milliseconds: float  # of all U-Net calls together, most with attention kept: this picture's share of them
    picture: Image.Image


@dataclass(frozen=True)
class Entry:
    """Something one can ask about: a word, the start mark, or the end mark with the padding."""

    kind: str  # "start", "word" or "rest"
    text: str  # of the word, else empty
    positions: tuple[int, ...]  # its tokens


def watch(engine: Engine, recipe: Recipe, visitor: str = "") -> Iterator[tuple[int, int] | Attention]:
    """(calls done, of) after every U-Net call, then the Attention. The picture is that of `engine.render(recipe)`.

    Raises Refusal for what the model cannot draw, a model without cross-attention, and a run that fails.
    """
    check(engine, recipe)
    if engine.facts.no_attention:
        raise Refusal(engine.facts.no_attention)
    looks: list[tuple[int, float, Look]] = []  # (k, t, look)
    took: list[float] = []  # seconds
    run = engine.run([recipe], previews=False, keep=Keep(attention=True), visitor=visitor)
    with closing(run) as events:
        for event in events:
            if isinstance(event, Failed):
                raise Refusal(event.reason)
            if isinstance(event, Step):
                took.append(event.seconds)
                if event.kept.look is not None:
                    looks.append((event.k, event.t, event.kept.look))
                yield event.k, event.of
            if isinstance(event, Done):
                steps, timesteps, each = zip(*looks, strict=True)
                layers = each[0].layers
                maps = {size: torch.stack([look.maps[size] for look in each]) for size in sorted(layers, reverse=True)}
                chunks = chunks_of(recipe, engine.facts.guided(recipe), engine.words)
                words, milliseconds = engine.words(recipe.prompt, chunks), 1000 * sum(took)
                picture = event.result.image
                yield Attention(recipe, words, steps, timesteps, len(took), maps, layers, milliseconds, picture)


def entries(words: Words) -> tuple[Entry, ...]:
    """The start mark, every word of which a token was kept, then end mark and padding: together all positions."""
    marks = {kind: tuple(i for i, t in enumerate(words.tokens) if t.kind in kinds) for kind, kinds in _MARKS.items()}
    asked = [Entry("word", word.text, word.positions) for word in words.words if word.positions]
    return (Entry("start", "", marks["start"]), *asked, Entry("rest", "", marks["rest"]))


def word_map(maps: Tensor, positions: Sequence[int]) -> Tensor:
    """(steps, tokens, rows, columns) -> (steps, rows, columns): the average over a word's tokens"""
    return maps[:, list(positions)].mean(1)


def shares(maps: Tensor, positions: Sequence[int]) -> list[float]:
    """-> per step, the part of all attention that goes to these tokens: summed over them, averaged over the places.

    Over all `entries` of a prompt the shares of one step sum to 1.
    """
    return maps[:, list(positions)].sum(1).mean((1, 2)).tolist()


def levels(map_: Tensor) -> tuple[bytes, float]:
    """(steps, rows, columns) in [0, 1] -> one byte per value, and the value that 255 stands for, for the browser."""
    peak = max(float(map_.max()), 1e-12)
    return (map_ / peak * 255).round().byte().numpy().tobytes(), peak
