"""Cross-attention as the U-Net itself computes it, kept while it is called: which places look at which tokens.

Text gives keys and values, places in the picture give queries: softmax(QKᵀ/√d), Vaswani et al. 2017,
https://arxiv.org/abs/1706.03762, equation 1. As maps over a picture: Hertz et al. 2022, https://arxiv.org/abs/2208.01626.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from playground.models.contract import Look, Size
from playground.refusal import Refusal


class Capture:
    """A diffusers attention processor that computes what AttnProcessor2_0 does, and keeps the probabilities."""

    def __init__(self) -> None:
        self.probabilities: Tensor | None = None  # (B, places, tokens) fp32, the mean of the heads; rows sum to 1

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        if encoder_hidden_states is None or attention_mask is not None or hidden_states.ndim != 3:
            raise Refusal("Only plain cross-attention can be looked into.")
        text = attn.norm_encoder_hidden_states(encoder_hidden_states) if attn.norm_cross else encoder_hidden_states
        q, k, v = (self._heads(attn, x) for x in (attn.to_q(hidden_states), attn.to_k(text), attn.to_v(text)))
        if attn.norm_q is not None:
            q = attn.norm_q(q)
        if attn.norm_k is not None:
            k = attn.norm_k(k)
        # in fp32 as the fused kernels do inside, so that rows sum to 1 also where the network runs in bf16
        scores = q.float() @ k.float().transpose(-1, -2) / math.sqrt(q.shape[-1])
        probabilities = scores.softmax(dim=-1)  # (B, heads, places, tokens)
        self.probabilities = probabilities.mean(1).cpu()
        mixed = (probabilities.to(v.dtype) @ v).transpose(1, 2).flatten(2)
        mixed = attn.to_out[1](attn.to_out[0](mixed))
        if attn.residual_connection:
            mixed = mixed + hidden_states
        return mixed / attn.rescale_output_factor

    @staticmethod
    def _heads(attn: Any, x: Tensor) -> Tensor:
        """(B, n, heads · d) -> (B, heads, n, d)"""
        return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def cross_attention_layers(unet: nn.Module) -> list[str]:
    """Names of the processors of a U-Net's cross-attention layers."""
    return [name for name in unet.attn_processors if name.endswith("attn2.processor")]


@contextmanager
def capturing(unet: nn.Module) -> Iterator[dict[str, Capture]]:
    """Inside, the U-Net's cross-attention layers keep their probabilities; afterwards it is as it was.

    Raises Refusal for a network without such layers.
    """
    before = unet.attn_processors
    captures = {name: Capture() for name in cross_attention_layers(unet)}
    if not captures:
        raise Refusal("This model has no cross-attention layers.")
    try:
        unet.set_attn_processor({**before, **captures})
        yield captures
    finally:
        unet.set_attn_processor(dict(before))  # a copy, because diffusers empties what it is given


def looks(captures: dict[str, Capture], rows: int, latents: Size) -> list[Look]:
    """Captures of one call of `rows` rows -> one Look for each."""
    found: dict[Size, list[Tensor]] = {}
    for capture in captures.values():
        if capture.probabilities is not None:
            size = grid_of(capture.probabilities.shape[1], *latents)
            found.setdefault(size, []).append(capture.probabilities)
    layers = {size: len(each) for size, each in found.items()}
    means = {size: torch.stack(each).mean(0).transpose(1, 2) for size, each in found.items()}  # (B, tokens, places)
    return [
        Look({size: mean[row].reshape(-1, *size).clone() for size, mean in means.items()}, layers)
        for row in range(rows)
    ]


def grid_of(places: int, height: int, width: int) -> Size:
    """How a layer's places lie over latents of h × w: every level of the U-Net halves both sides, rounding up."""
    rows, columns = height, width
    while rows * columns > places:
        rows, columns = math.ceil(rows / 2), math.ceil(columns / 2)
    if rows * columns != places:
        raise Refusal(f"{places} places do not lie on {height} × {width} latents.")
    return rows, columns
