"""Weights in a prompt and prompts beyond the window: what diffusers draws from embeddings made by the formula."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from torch import Tensor

from playground.engine import LocalEngine
from playground.export.script import to_script
from playground.models import REGISTERED
from playground.recipe import Recipe
from playground.refusal import Refusal
from tests import schedulers
from tests.models.families.conftest import Engines, Pipelines
from tests.models.families.test_late_fields import base_of, compared
from tests.reference import TOLERANCE, called, drawn_by_program, largest_difference

# trained, because the mean of what an untrained last norm gives is 0, by which nothing can be divided
POCKET = "pocket"
# what is tried -> the rows of the README's table that it stands for: a Turbo model's text encoders are no others
KINDS = {POCKET: ("sd15-tiny", "turbo-tiny"), "sdxl-tiny": ("sdxl-tiny", "sdxl-turbo-tiny")}
LONG = "cat " * 40 + "(dog:1.5)"  # two windows
# text with marks -> its stretches by hand: (words, weight)
STRETCHES = {
    "(red apple:1.4), [blue] background": [
        ("red apple", 1.4),
        (", ", 1.0),
        ("blue", 1 / 1.1),
        (" background", 1.0),
    ],
    "cat": [("cat", 1.0)],
    "((cat))": [("cat", 1.21)],
    "": [("", 1.0)],
    "red apple": [("red apple", 1.0)],
    LONG: [("cat " * 40, 1.0), ("dog", 1.5)],
}


@pytest.fixture
def either(engine_of: Engines, engine: LocalEngine) -> Engines:
    return lambda kind: engine if kind == POCKET else engine_of(kind)


@pytest.fixture
def own(own: Pipelines) -> Pipelines:
    return lambda kind: StableDiffusionPipeline.from_pretrained(REGISTERED[POCKET]) if kind == POCKET else own(kind)


def said(pipeline: DiffusionPipeline, text: str, skip: int, chunks: int) -> tuple[Tensor, Tensor | None]:
    """AUTOMATIC1111's formula: each token's states times its weight, times mean before / mean after."""
    encoders = [(pipeline.tokenizer, pipeline.text_encoder)]
    if two := hasattr(pipeline, "tokenizer_2"):
        encoders.append((pipeline.tokenizer_2, pipeline.text_encoder_2))
    sides, pooled = [], None
    for tokenizer, encoder in encoders:
        room, read = tokenizer.model_max_length - 2, tokens(pipeline, text)
        each = []
        for n in range(chunks):
            row = read[n * room : (n + 1) * room]
            padding = [(tokenizer.pad_token_id, 1.0)] * (room - len(row))
            row = [(tokenizer.bos_token_id, 1.0), *row, (tokenizer.eos_token_id, 1.0), *padding]
            ids, weights = zip(*row, strict=True)
            with torch.no_grad():
                answer = encoder(torch.tensor([ids]), output_hidden_states=True)
            if two:
                states = answer.hidden_states[-2 - skip]
                pooled = answer[0] if n == 0 else pooled
            elif skip:
                states = encoder.text_model.final_layer_norm(answer.hidden_states[-1 - skip])
            else:
                states = answer.last_hidden_state
            new = states[0] * torch.tensor(weights)[:, None]
            each.append(new * (states.mean() / new.mean()))
        sides.append(torch.cat(each))
    return torch.cat(sides, dim=1)[None], pooled


def tokens(pipeline: DiffusionPipeline, text: str) -> list[tuple[int, float]]:
    cut = pipeline.tokenizer
    return [(i, weight) for words, weight in STRETCHES[text] for i in cut(words, add_special_tokens=False).input_ids]


def drawn(pipeline: DiffusionPipeline, recipe: Recipe) -> np.ndarray:
    used = (recipe.prompt, recipe.negative_prompt)
    chunks = max(1, *(-(-len(tokens(pipeline, text)) // (pipeline.tokenizer.model_max_length - 2)) for text in used))
    text, pooled = said(pipeline, recipe.prompt, recipe.clip_skip, chunks)
    negative, negative_pooled = said(pipeline, recipe.negative_prompt, 0, chunks)
    given = {"prompt_embeds": text, "negative_prompt_embeds": negative}
    if pooled is not None and not recipe.negative_prompt and pipeline.config.force_zeros_for_empty_prompt:
        given["negative_prompt_embeds"], negative_pooled = torch.zeros_like(text), torch.zeros_like(pooled)
    if pooled is not None:
        given |= {"pooled_prompt_embeds": pooled, "negative_pooled_prompt_embeds": negative_pooled}
    return called(pipeline, recipe, prompt=None, width=64, height=64, **given)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_and_long_prompts(either: Engines, own: Pipelines, kind: str) -> None:
    """Short and long ones in one grid, with marks as letters beside them."""
    base, pipeline = base_of(either(kind).facts, sampler="euler", prompt_weights=True), own(kind)
    schedulers.use(pipeline, base)
    marked, *_ = STRETCHES
    prompts = [(marked, "cat"), (marked, ""), ("red apple", "((cat))"), (LONG, "((cat))"), ("red apple", LONG)]
    cells = [base.replace(prompt=prompt, negative_prompt=negative) for prompt, negative in prompts]
    cells.append(base.replace(prompt=marked, clip_skip=1, seed=8))
    expected = [drawn(pipeline, recipe) for recipe in cells]
    letters = base.replace(prompt=marked, prompt_weights=False)
    expected.append(called(pipeline, letters, negative_prompt="cat", width=64, height=64))
    compared(either(kind), [*cells, letters], expected)
    assert largest_difference(either(kind).render(cells[3]), expected[3]) <= TOLERANCE  # and alone


@pytest.mark.parametrize("kind", KINDS)
def test_without_marks_the_words_are_encoded_as_ever(either: Engines, kind: str) -> None:
    model = either(kind).model
    for words in ("red apple, blue background", "", "a Zeppelin über 🍎 don't"):
        for skip in (0, 1):
            plain, read = (model.encode_now(words, clip_skip=skip, chunks=chunks) for chunks in (0, 1))
            assert plain.keys() == read.keys() and all(torch.equal(plain[name], read[name]) for name in plain)


def test_other_families_say_why_not(either: Engines) -> None:
    for kind in ("sd3-tiny", "flux-dev-tiny", "pixart-sigma-tiny"):
        facts = either(kind).facts
        with pytest.raises(Refusal, match="^prompt_weights must be off for this model: weights are read only where"):
            facts.check(facts.usual.replace(prompt_weights=True))


@pytest.mark.parametrize("negative", ["", "cat " * 40 + "(dog:1.5)"])
def test_the_script_of_two_encoders_draws_the_cells_picture(
    negative: str, engine_of: Engines, folder_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of("sdxl-tiny")
    prompt = "(red apple:1.4), BREAK [blue]"
    recipe = base_of(engine.facts, prompt_weights=True).replace(prompt=prompt, negative_prompt=negative)
    monkeypatch.chdir(tmp_path)
    picture = drawn_by_program(to_script(recipe, engine.facts), folder_of("sdxl-tiny"))
    assert largest_difference(engine.render(recipe), picture) <= TOLERANCE
