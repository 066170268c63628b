"""Attention over a run: the engine's run, with the U-Net's own probabilities of every call."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from playground import Recipe
from playground.engine import LocalEngine, trajectory
from playground.inside import attention
from playground.inside.walk import begin
from playground.models.running import unet
from playground.refusal import Refusal

RECIPE = Recipe(prompt="red Zeppelin, blue background", num_inference_steps=3, seed=2)


@pytest.fixture(scope="module")
def watched(engine: LocalEngine) -> attention.Attention:
    *_, found = attention.watch(engine, RECIPE)
    return found


def test_the_watched_run_is_the_engines_run(engine: LocalEngine, watched: attention.Attention) -> None:
    difference = np.asarray(watched.picture).astype(int) - np.asarray(engine.render(RECIPE).image).astype(int)
    assert np.abs(difference).max() <= 2
    assert watched.steps == (1, 2, 3) and watched.of == 3 and watched.milliseconds > 0
    assert watched.timesteps == (999.0, 666.0, 333.0)
    assert {size: tuple(maps.shape) for size, maps in watched.maps.items()} == {
        (8, 8): (3, 32, 8, 8),
        (4, 4): (3, 32, 4, 4),
    }
    assert watched.layers == {(8, 8): 3, (4, 4): 4}


def test_a_map_is_the_mean_over_heads_and_layers_of_the_prompts_row(engine: LocalEngine, monkeypatch) -> None:  # noqa: ANN001
    captured: list = []

    @contextmanager
    def recording(network: nn.Module) -> Iterator[dict]:
        """Keeps what `capturing` gave, for one step."""
        with capturing(network) as captures:
            captured.append(captures)
            yield captures

    capturing = unet.capturing
    monkeypatch.setattr(unet, "capturing", recording)
    *_, found = attention.watch(engine, RECIPE.replace(num_inference_steps=1))
    (captures,) = captured
    fine = [c.probabilities[-1].numpy() for c in captures.values() if c.probabilities.shape[1] == 64]
    expected = np.mean(fine, axis=0)  # (places, tokens)
    for token in (0, 1, 5):
        for place in (0, 7, 8, 63):
            assert found.maps[8, 8][0, token, place // 8, place % 8] == pytest.approx(expected[place, token], abs=1e-6)


def test_the_maps_are_those_of_the_prompt_not_of_the_negative_one(engine: LocalEngine, monkeypatch) -> None:  # noqa: ANN001
    """One call made here with the prompt alone sees what the run's first call saw."""
    *_, found = attention.watch(engine, RECIPE.replace(num_inference_steps=1, negative_prompt="a green cat"))
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(RECIPE.seed))
    _, (look,) = engine.model.predict_and_look(noise, torch.tensor([999.0]), [engine.model.encode(RECIPE.prompt)])
    assert torch.allclose(found.maps[8, 8][0], look.maps[8, 8], atol=1e-5)


def test_every_token_of_a_prompt_with_weights_has_its_map(engine: LocalEngine) -> None:
    """Also where the negative prompt is longer, and the prompt filled up."""
    recipe = RECIPE.replace(prompt="(red:1.5) apple", negative_prompt="cat " * 40, prompt_weights=True)
    *_, found = attention.watch(engine, recipe.replace(num_inference_steps=1))
    assert found.words.chunks == 2 and found.maps[8, 8].shape == (1, 64, 8, 8)
    asked = attention.entries(found.words)
    assert [entry.text for entry in asked if entry.kind == "word"] == ["red", "apple"]
    assert sum(attention.shares(found.maps[8, 8], e.positions)[0] for e in asked) == pytest.approx(1, abs=1e-5)
    now = begin(engine, recipe)
    assert now.words == found.words and now.embeddings.shape[0] == 64
    letters = begin(engine, recipe.replace(prompt_weights=False))
    assert letters.words.chunks == 0 and letters.embeddings.shape[0] == 32


def test_nobody_else_ever_meets_the_capturing_processors(engine: LocalEngine, monkeypatch) -> None:  # noqa: ANN001
    """Another visitor's rows are computed meanwhile, by the plain network."""
    before, model = dict(engine.model.unet.attn_processors), engine.model
    plain: list[bool] = []
    predict = model.predict

    def noted(*inputs: object) -> torch.Tensor:
        plain.append(model.unet.attn_processors == before)
        return predict(*inputs)

    monkeypatch.setattr(model, "predict", noted)
    another = engine.run([RECIPE.replace(seed=9, num_inference_steps=12, guidance_scale=1.0)], previews=False)
    next(another)
    *_, last = attention.watch(engine, RECIPE.replace(guidance_scale=1.0))
    for _ in another:
        pass
    assert len(plain) >= 12 and all(plain)
    assert last.steps == (1, 2, 3) and model.unet.attn_processors == before


def test_words_of_several_tokens_are_averaged_and_all_shares_sum_to_one(watched: attention.Attention) -> None:
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


def test_long_runs_keep_evenly_spaced_steps(engine: LocalEngine, monkeypatch) -> None:  # noqa: ANN001
    monkeypatch.setattr(trajectory, "MOST_LOOKS", 3)
    *under_way, found = attention.watch(engine, RECIPE.replace(num_inference_steps=7, guidance_scale=1.0))
    assert under_way == [(k, 7) for k in range(1, 8)]
    assert found.steps == (1, 4, 7) and found.maps[8, 8].shape[0] == 3 and found.of == 7


def test_whoever_looks_at_a_run_that_somebody_else_began_sees_all_of_it(engine: LocalEngine) -> None:
    recipe = RECIPE.replace(num_inference_steps=9, guidance_scale=1.0)
    first = attention.watch(engine, recipe)
    assert next(first) == (1, 9)
    *_, second = attention.watch(engine, recipe)
    first.close()
    assert second.steps == tuple(range(1, 10)) and second.of == 9


def test_a_model_whose_attention_cannot_be_seen_is_refused_before_anything_runs(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "facts", replace(engine.facts, no_attention="It cannot be looked into."))
    monkeypatch.setattr(engine, "run", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(Refusal, match="It cannot be looked into"):
        next(attention.watch(engine, RECIPE))


def test_another_models_recipe_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(Refusal, match=r"^model must be pocket, which is .*, not 'sd'\.$"):
        next(attention.watch(engine, Recipe(model="sd")))


def test_a_cut_off_word_is_not_offered(engine: LocalEngine) -> None:
    asked = attention.entries(engine.words("apple " * 30 + "banana"))
    assert "banana" not in [entry.text for entry in asked]
