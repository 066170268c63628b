"""Cross-attention: which words each place of the picture looks at, from the probabilities the U-Net itself uses.

Text gives keys and values, places in the picture give queries: softmax(QKᵀ/√d), Vaswani et al. 2017,
https://arxiv.org/abs/1706.03762, equation 1. As maps over a picture: Hertz et al. 2022, https://arxiv.org/abs/2208.01626.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from playground.engine import Engine
from playground.engine.trajectory import Trajectory
from playground.inside.network import clock
from playground.inside.on_device import on_device
from playground.inside.pipeline import call, check, check_time
from playground.inside.words import Words, cut
from playground.models import LatentModel
from playground.recipe import Recipe

MOST_STEPS = 50  # kept of one run, evenly spaced
MOST_VALUES = 4_000_000  # kept of one run, so that large models keep fewer steps instead of filling the memory


class Capture:
    """A diffusers attention processor that computes what AttnProcessor2_0 does, and keeps the probabilities."""

    def __init__(self, row: int = -1) -> None:
        self._row = row  # which row of the batch is kept; the last one is that of the prompt
        self.probabilities: Tensor | None = None  # (heads, places, tokens), fp32; every row sums to 1

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        if encoder_hidden_states is None or attention_mask is not None or hidden_states.ndim != 3:
            raise ValueError("Only plain cross-attention can be looked into.")
        text = attn.norm_encoder_hidden_states(encoder_hidden_states) if attn.norm_cross else encoder_hidden_states
        q, k, v = (self._heads(attn, x) for x in (attn.to_q(hidden_states), attn.to_k(text), attn.to_v(text)))
        if attn.norm_q is not None:
            q = attn.norm_q(q)
        if attn.norm_k is not None:
            k = attn.norm_k(k)
        # in fp32 as the fused kernels do inside, so that rows sum to 1 also where the network runs in bf16
        scores = q.float() @ k.float().transpose(-1, -2) / math.sqrt(q.shape[-1])
        probabilities = scores.softmax(dim=-1)  # (B, heads, places, tokens)
        self.probabilities = probabilities[self._row].cpu()
        mixed = (probabilities.to(v.dtype) @ v).transpose(1, 2).flatten(2)
        mixed = attn.to_out[1](attn.to_out[0](mixed))
        if attn.residual_connection:
            mixed = mixed + hidden_states
        return mixed / attn.rescale_output_factor

    @staticmethod
    def _heads(attn: Any, x: Tensor) -> Tensor:
        """(B, n, heads · d) -> (B, heads, n, d)"""
        return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


@contextmanager
def capturing(model: LatentModel, row: int = -1) -> Iterator[dict[str, Capture]]:
    """Inside, the U-Net's cross-attention layers keep their probabilities; afterwards it is as it was.

    Only for whoever holds the model (`engine.between_ticks()`). Raises ValueError for a model without such layers.
    """
    before = [unet.attn_processors for unet in model.unets]
    captures = {name: Capture(row) for name in before[0] if name.endswith("attn2.processor")}
    if not captures:
        raise ValueError("This model has no cross-attention layers.")
    try:
        for unet, processors in zip(model.unets, before, strict=True):
            unet.set_attn_processor({**processors, **captures})
        yield captures
    finally:
        for unet, processors in zip(model.unets, before, strict=True):
            unet.set_attn_processor(dict(processors))  # a copy, because diffusers empties what it is given


@dataclass(frozen=True, eq=False)
class Attention:
    """The attention of one run, averaged over heads and over the layers of equal resolution."""

    recipe: Recipe
    words: Words
    steps: tuple[int, ...]  # U-Net calls that were kept, counted from 1
    timesteps: tuple[float, ...]  # of these
    of: int  # U-Net calls in all
    maps: dict[tuple[int, int], Tensor]  # (rows, columns) -> (steps, tokens, rows, columns), finest first
    layers: dict[tuple[int, int], int]  # layers of that resolution
    milliseconds: float  # of all U-Net calls together, with capturing on
    picture: Image.Image


@dataclass(frozen=True)
class Entry:
    """Something one can ask about: a word, the start mark, or the end mark with the padding."""

    kind: str  # "start", "word" or "rest"
    text: str  # of the word, else empty
    positions: tuple[int, ...]  # its tokens


@on_device(evaluations=lambda recipe: recipe.evaluations)
def watch(engine: Engine, recipe: Recipe) -> Iterator[tuple[int, int] | Attention]:
    """(calls done, of) after every U-Net call, then the Attention. The picture is that of `engine.render(recipe)`.

    Raises ValueError for another model's recipe, a model without cross-attention, and a run that would take too long.
    """
    check(engine, recipe)
    words = cut(engine.model, recipe.prompt)
    with engine.between_ticks() as model:
        trajectory = Trajectory(recipe, model)
    kept: list[tuple[int, float, dict[tuple[int, int], Tensor]]] = []
    layers: dict[tuple[int, int], int] = {}
    every, took = 1, []
    while not trajectory.finished:
        k, t = trajectory.k + 1, float(trajectory.timestep)
        with engine.between_ticks() as model:
            started = clock(model.device)
            with capturing(model) as captures:
                outputs = call(model, trajectory)
            took.append(clock(model.device) - started)
            trajectory.advance(outputs)
        if (k - 1) % every == 0:
            maps, layers = _by_resolution(captures, *trajectory.latents.shape[-2:])
            kept.append((k, t, maps))
            every = _spacing(trajectory.of, sum(m.numel() for m in maps.values()))
        check_time((trajectory.of - k) * statistics.median(took) / 1000)
        yield k, trajectory.of
    with engine.between_ticks() as model:
        picture = model.decode(trajectory.latents)[0]
    stacked = {size: torch.stack([maps[size] for _, _, maps in kept]) for size in sorted(layers, reverse=True)}
    steps, timesteps = tuple(k for k, _, _ in kept), tuple(t for _, t, _ in kept)
    yield Attention(recipe, words, steps, timesteps, trajectory.of, stacked, layers, sum(took), picture)


def _spacing(of: int, values: int) -> int:
    """Keep every n-th of so many steps, each with so many values."""
    most = max(1, min(MOST_STEPS, MOST_VALUES // values))
    return math.ceil(of / most)


def _by_resolution(
    captures: dict[str, Capture], height: int, width: int
) -> tuple[dict[tuple[int, int], Tensor], dict[tuple[int, int], int]]:
    """Captures of one call -> maps (tokens, rows, columns) by resolution, and how many layers each averages."""
    found: dict[tuple[int, int], list[Tensor]] = {}
    for capture in captures.values():
        if capture.probabilities is None:
            continue
        size = grid_of(capture.probabilities.shape[1], height, width)
        found.setdefault(size, []).append(capture.probabilities.mean(0).T.reshape(-1, *size))
    maps = {size: torch.stack(layers).mean(0).clone() for size, layers in found.items()}
    return maps, {size: len(layers) for size, layers in found.items()}


def grid_of(places: int, height: int, width: int) -> tuple[int, int]:
    """How a layer's places lie over latents of h × w: every level of the U-Net halves both sides, rounding up."""
    rows, columns = height, width
    while rows * columns > places:
        rows, columns = math.ceil(rows / 2), math.ceil(columns / 2)
    if rows * columns != places:
        raise ValueError(f"{places} places do not lie on {height} × {width} latents.")
    return rows, columns


def entries(words: Words) -> tuple[Entry, ...]:
    """The start mark, every word of which a token was kept, then end mark and padding: together all positions."""
    marks = {kind: tuple(i for i, t in enumerate(words.tokens) if t.kind in kinds) for kind, kinds in _MARKS.items()}
    asked = [Entry("word", word.text, word.positions) for word in words.words if word.positions]
    return (Entry("start", "", marks["start"]), *asked, Entry("rest", "", marks["rest"]))


_MARKS = {"start": ("start",), "rest": ("end", "padding")}


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
