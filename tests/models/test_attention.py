"""Captured attention is what the U-Net's own layers compute, and capturing changes nothing."""

import copy
import math

import numpy as np
import pytest
import torch

from playground.engine import LocalEngine
from playground.models.contract import Condition
from playground.models.running import attention
from playground.models.running.attention import capturing
from playground.refusal import Refusal


def ask(by_torch: LocalEngine, rows: int = 2) -> tuple[torch.Tensor, torch.Tensor, list[Condition]]:
    """Inputs of one U-Net call: other words in every row."""
    latents = torch.randn(rows, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    texts = ["", "red apple, blue background", "a cat"][:rows]
    return latents, torch.full((rows,), 400.0), [by_torch.model.encode(text) for text in texts]


def test_rows_sum_to_one_in_every_layer(by_torch: LocalEngine) -> None:
    unet = by_torch.model.unet
    with capturing(unet) as captures:
        by_torch.model.predict(*ask(by_torch))
    assert len(captures) == sum(name.endswith("attn2") for name, _ in unet.named_modules()) == 7
    for capture in captures.values():
        rows, places, tokens = capture.probabilities.shape
        assert rows == 2 and tokens == 32 and places in (64, 16)
        assert torch.allclose(capture.probabilities.sum(-1), torch.ones(rows, places), atol=1e-5)
        assert capture.probabilities.min() >= 0


@pytest.mark.parametrize("name", ["down_blocks.1", "mid_block", "up_blocks.1"])
def test_the_captured_layer_is_softmax_of_qk_over_root_d_averaged_over_heads(by_torch: LocalEngine, name: str) -> None:
    """Q and K are taken by hooks from a plain call without capturing; the softmax is numpy's."""
    path = f"{name}.attentions.0.transformer_blocks.0.attn2"
    layer, seen = by_torch.model.unet.get_submodule(path), {}
    hooks = [
        getattr(layer, part).register_forward_hook(lambda m, i, o, p=part: seen.update({p: o.double().numpy()}))
        for part in ("to_q", "to_k")
    ]
    inputs = ask(by_torch, 3)
    try:
        by_torch.model.predict(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    with capturing(by_torch.model.unet) as captures:
        by_torch.model.predict(*inputs)
    assert layer.heads in (4, 7)
    d = seen["to_q"].shape[-1] // layer.heads
    for row in range(3):
        direct = []
        for head in range(layer.heads):
            q, k = (seen[part][row, :, head * d : (head + 1) * d] for part in ("to_q", "to_k"))
            scores = np.exp(q @ k.T / math.sqrt(d))
            direct.append(scores / scores.sum(-1, keepdims=True))
        captured = captures[f"{path}.processor"].probabilities[row].numpy()
        assert np.abs(captured - np.mean(direct, axis=0)).max() < 1e-5


def test_looking_does_not_change_the_output(by_torch: LocalEngine) -> None:
    inputs = ask(by_torch, 3)
    plain = by_torch.model.predict(*inputs)
    with capturing(by_torch.model.unet):
        looked = by_torch.model.predict(*inputs)
    again, (looking, seen) = by_torch.model.predict(*inputs), by_torch.model.predict_and_look(*inputs)
    assert torch.allclose(looked, plain, atol=2e-5) and torch.allclose(looking, plain, atol=2e-5)
    assert torch.equal(again, plain) and len(seen) == 3


def test_rows_sum_to_one_also_where_the_network_runs_in_bf16(by_torch: LocalEngine) -> None:
    path = "down_blocks.1.attentions.0.transformer_blocks.0.attn2"
    layer = copy.deepcopy(by_torch.model.unet.get_submodule(path)).to(torch.bfloat16)
    generator = torch.Generator().manual_seed(1)
    places = torch.randn(2, 64, layer.to_q.in_features, generator=generator).bfloat16()
    text = by_torch.model.encode("red apple")["encoder_hidden_states"].bfloat16().repeat(2, 1, 1)
    with torch.inference_mode():
        plain = layer(places, text)
        layer.set_processor(capture := attention.Capture())
        looked = layer(places, text)
    assert torch.allclose(capture.probabilities.sum(-1), torch.ones(2, 64), atol=1e-5)
    assert torch.allclose(looked.float(), plain.float(), atol=0.02 * float(plain.float().abs().max()))


def test_the_processors_are_put_back_even_after_an_error(by_torch: LocalEngine) -> None:
    unet = by_torch.model.unet
    before = dict(unet.attn_processors)
    with pytest.raises(RuntimeError, match="stop"), capturing(unet):
        assert unet.attn_processors != before
        raise RuntimeError("stop")
    assert unet.attn_processors == before


def test_every_row_has_its_own_look_the_mean_of_equal_layers_laid_out_as_the_picture(by_torch: LocalEngine) -> None:
    with capturing(by_torch.model.unet) as captures:
        by_torch.model.predict(*ask(by_torch, 3))
    found = attention.looks(captures, 3, (16, 16))
    assert [look.layers for look in found] == [{(8, 8): 3, (4, 4): 4}] * 3
    for places, side in ((64, 8), (16, 4)):
        same = [c.probabilities.numpy() for c in captures.values() if c.probabilities.shape[1] == places]
        for row, look in enumerate(found):
            map_ = look.maps[side, side]
            assert map_.shape == (32, side, side)
            expected = np.mean([p[row] for p in same], axis=0)  # (places, tokens)
            for token in (0, 1, 5):
                for place in (0, side - 1, side, places - 1):
                    value = float(map_[token, place // side, place % side])
                    assert value == pytest.approx(expected[place, token], abs=1e-6)


@pytest.mark.parametrize(
    ("places", "height", "width", "grid"),
    [(64, 16, 16, (8, 8)), (16, 16, 16, (4, 4)), (9, 10, 10, (3, 3)), (24, 8, 12, (4, 6)), (256, 16, 16, (16, 16))],
)
def test_places_lie_on_halved_latents(places: int, height: int, width: int, grid: tuple[int, int]) -> None:
    assert attention.grid_of(places, height, width) == grid


def test_places_that_fit_nowhere_are_refused() -> None:
    with pytest.raises(Refusal, match="do not lie on"):
        attention.grid_of(65, 16, 16)
