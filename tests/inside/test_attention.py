"""Cross-attention maps are the U-Net's own probabilities, and looking changes nothing."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from playground import Recipe
from playground.engine import Engine
from playground.inside import attention
from playground.inside.words import cut

RECIPE = Recipe(prompt="red Zeppelin, blue background", num_inference_steps=3, seed=2)


def ask(engine: Engine, rows: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs of one U-Net call: other words in every row."""
    latents = torch.randn(rows, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    texts = ["", "red apple, blue background", "a cat"][:rows]
    return latents, torch.full((rows,), 400.0), torch.cat([engine.model.encode(text) for text in texts])


@pytest.fixture(scope="module")
def watched(engine: Engine) -> attention.Attention:
    *_, found = attention.watch(engine, RECIPE)
    return found


def test_rows_sum_to_one_in_every_layer_and_head(engine: Engine) -> None:
    with engine.between_ticks() as model, attention.capturing(model) as captures:
        model.predict(*ask(engine))
    assert len(captures) == sum(name.endswith("attn2") for name, _ in engine.model.unet.named_modules()) == 7
    for capture in captures.values():
        heads, places, tokens = capture.probabilities.shape
        assert tokens == 32 and places in (64, 16) and heads in (4, 7)
        assert torch.allclose(capture.probabilities.sum(-1), torch.ones(heads, places), atol=1e-5)
        assert capture.probabilities.min() >= 0


@pytest.mark.parametrize("row", [0, 1, -1])
@pytest.mark.parametrize("name", ["down_blocks.1", "mid_block", "up_blocks.1"])
def test_the_captured_layer_is_softmax_of_qk_over_root_d(engine: Engine, name: str, row: int) -> None:
    """Q and K are taken by hooks from a plain call without capturing; the softmax is numpy's."""
    path = f"{name}.attentions.0.transformer_blocks.0.attn2"
    layer, seen = engine.model.unet.get_submodule(path), {}
    hooks = [
        getattr(layer, part).register_forward_hook(lambda m, i, o, p=part: seen.update({p: o[row].double().numpy()}))
        for part in ("to_q", "to_k")
    ]
    inputs = ask(engine, 3)
    try:
        with engine.between_ticks() as model:
            model.predict(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    with engine.between_ticks() as model, attention.capturing(model, row) as captures:
        model.predict(*inputs)
    d = seen["to_q"].shape[-1] // layer.heads
    for head in range(layer.heads):
        q, k = (seen[part][:, head * d : (head + 1) * d] for part in ("to_q", "to_k"))
        scores = np.exp(q @ k.T / math.sqrt(d))
        direct = scores / scores.sum(-1, keepdims=True)
        assert np.abs(captures[f"{path}.processor"].probabilities[head].numpy() - direct).max() < 1e-5


def test_looking_does_not_change_the_output(engine: Engine) -> None:
    inputs = ask(engine, 3)
    with engine.between_ticks() as model:
        plain = model.predict(*inputs)
        with attention.capturing(model):
            looked = model.predict(*inputs)
        again = model.predict(*inputs)
    assert torch.allclose(looked, plain, atol=2e-5)
    assert torch.equal(again, plain)


def test_rows_sum_to_one_also_where_the_network_runs_in_bf16(engine: Engine) -> None:
    path = "down_blocks.1.attentions.0.transformer_blocks.0.attn2"
    layer = copy.deepcopy(engine.model.unet.get_submodule(path)).to(torch.bfloat16)
    generator = torch.Generator().manual_seed(1)
    places = torch.randn(2, 64, layer.to_q.in_features, generator=generator).bfloat16()
    text = engine.model.encode("red apple").bfloat16().repeat(2, 1, 1)
    with torch.inference_mode():
        plain = layer(places, text)
        layer.set_processor(capture := attention.Capture())
        looked = layer(places, text)
    assert torch.allclose(capture.probabilities.sum(-1), torch.ones(layer.heads, 64), atol=1e-5)
    assert torch.allclose(looked.float(), plain.float(), atol=0.02 * float(plain.float().abs().max()))


def test_the_processors_are_put_back_even_after_an_error(engine: Engine) -> None:
    before = dict(engine.model.unet.attn_processors)
    with pytest.raises(RuntimeError, match="stop"), engine.between_ticks() as model, attention.capturing(model):
        assert model.unet.attn_processors != before
        raise RuntimeError("stop")
    assert engine.model.unet.attn_processors == before


def test_nobody_else_ever_meets_the_capturing_processors(engine: Engine) -> None:
    """Between two steps the model is free for others, and plain."""
    before = dict(engine.model.unet.attn_processors)
    for _ in attention.watch(engine, RECIPE):
        with engine.between_ticks() as model:
            assert model.unet.attn_processors == before


def test_the_watched_run_is_the_engines_run(engine: Engine, watched: attention.Attention) -> None:
    difference = np.asarray(watched.picture).astype(int) - np.asarray(engine.render(RECIPE).image).astype(int)
    assert np.abs(difference).max() <= 2
    assert watched.steps == (1, 2, 3) and watched.of == 3
    assert {size: tuple(maps.shape) for size, maps in watched.maps.items()} == {
        (8, 8): (3, 32, 8, 8),
        (4, 4): (3, 32, 4, 4),
    }
    assert watched.layers == {(8, 8): 3, (4, 4): 4}


def test_a_map_is_the_mean_over_heads_and_layers_laid_out_as_the_picture(engine: Engine) -> None:
    captured: list = []
    original = attention.capturing

    class Recording:
        """Keeps what `capturing` gave, for one step."""

        def __init__(self, model: object, row: int = -1) -> None:
            self.inner = original(model, row)

        def __enter__(self) -> dict:
            captured.append(self.inner.__enter__())
            return captured[-1]

        def __exit__(self, *error: object) -> None:
            self.inner.__exit__(*error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "capturing", Recording)
        *_, found = attention.watch(engine, RECIPE.replace(num_inference_steps=1))
    fine = [c.probabilities.numpy() for c in captured[0].values() if c.probabilities.shape[1] == 64]
    expected = np.mean([p.mean(0) for p in fine], axis=0)  # (places, tokens)
    for token in (0, 1, 5):
        for place in (0, 7, 8, 63):
            assert found.maps[8, 8][0, token, place // 8, place % 8] == pytest.approx(expected[place, token], abs=1e-6)


def test_words_of_several_tokens_are_averaged_and_all_shares_sum_to_one(
    engine: Engine, watched: attention.Attention
) -> None:
    asked = attention.entries(watched.words)
    assert [(e.kind, e.text, len(e.positions)) for e in asked[:2]] == [("start", "", 1), ("word", "red", 1)]
    assert (asked[2].text, asked[2].positions) == ("Zeppelin", (2, 3, 4, 5, 6))
    assert sorted(i for entry in asked for i in entry.positions) == list(range(32))
    maps = watched.maps[8, 8]
    assert torch.allclose(attention.word_map(maps, asked[2].positions), maps[:, 2:7].sum(1) / 5, atol=1e-6)
    for step in range(3):
        assert sum(attention.shares(maps, e.positions)[step] for e in asked) == pytest.approx(1, abs=1e-5)
    assert attention.shares(maps, asked[2].positions)[0] == pytest.approx(float(maps[0, 2:7].sum()) / 64, abs=1e-6)


def test_the_bytes_for_the_browser_are_the_map_within_half_a_level(watched: attention.Attention) -> None:
    map_ = attention.word_map(watched.maps[8, 8], (1,))
    data, peak = attention.levels(map_)
    back = np.frombuffer(data, np.uint8).reshape(map_.shape) / 255 * peak
    assert np.abs(back - map_.numpy()).max() <= peak / 510 + 1e-6


def test_long_runs_keep_evenly_spaced_steps(engine: Engine, monkeypatch) -> None:  # noqa: ANN001
    monkeypatch.setattr(attention, "MOST_STEPS", 3)
    *_, found = attention.watch(engine, RECIPE.replace(num_inference_steps=7, guidance_scale=1.0))
    assert found.steps == (1, 4, 7) and found.maps[8, 8].shape[0] == 3 and found.of == 7


def test_a_cut_off_word_is_not_offered(engine: Engine) -> None:
    asked = attention.entries(cut(engine.model, "apple " * 30 + "banana"))
    assert "banana" not in [entry.text for entry in asked]


@pytest.mark.parametrize(
    ("places", "height", "width", "grid"),
    [(64, 16, 16, (8, 8)), (16, 16, 16, (4, 4)), (9, 10, 10, (3, 3)), (24, 8, 12, (4, 6)), (256, 16, 16, (16, 16))],
)
def test_places_lie_on_halved_latents(places: int, height: int, width: int, grid: tuple[int, int]) -> None:
    assert attention.grid_of(places, height, width) == grid


def test_places_that_fit_nowhere_are_refused() -> None:
    with pytest.raises(ValueError, match="do not lie on"):
        attention.grid_of(65, 16, 16)
