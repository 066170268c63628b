"""Stable Diffusion 1.x, 2.x and Turbo folders: every offered sampler draws what the pipeline itself draws."""

import math
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

from playground.engine import Decode, Done, Encode, Keep, LocalEngine, Question, Start, Step
from playground.models import load_model
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.schedule import levels
from tests.models.tiny import KINDS, SIDES
from tests.reference import TOLERANCE, largest_difference, other_cells, plain

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pipelines(folders: dict[str, Path]) -> dict[str, StableDiffusionPipeline]:
    found = {kind: StableDiffusionPipeline.from_pretrained(folder) for kind, folder in folders.items()}
    for pipeline in found.values():
        pipeline.set_progress_bar_config(disable=True)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_offered_sampler_is_the_pipelines_alone_and_among_others(
    engines: dict[str, LocalEngine], pipelines: dict[str, StableDiffusionPipeline], kind: str
) -> None:
    engine, facts = engines[kind], engines[kind].facts
    base = facts.usual.replace(prompt="red apple", negative_prompt="cat", num_inference_steps=5, seed=3)
    cells = [base.replace(sampler=key) for key in facts.samplers] + other_cells(base, facts.cfg)
    among = {e.cell: e.result for e in engine.run(cells) if isinstance(e, Done)}
    assert len(among) == len(cells)
    for i, recipe in enumerate(cells):
        expected = plain(pipelines[kind], recipe)
        assert expected.std() > 3
        for found in (among[i], engine.render(recipe)):
            apart = largest_difference(found, expected)
            assert apart <= TOLERANCE, (
                recipe.sampler,
                recipe.guidance_scale,
                recipe.num_inference_steps,
                recipe.width,
                apart,
            )


def test_the_facts_are_those_of_each_kind(engines: dict[str, LocalEngine]) -> None:
    for kind, engine in engines.items():
        facts = engine.facts
        assert facts.name == kind and facts.side == SIDES.get(kind, 64) and facts.usual.model == kind
        engine.check(facts.usual)
    turbo = engines["turbo-tiny"].facts
    assert turbo.guidance == "none" and not turbo.guided(turbo.usual) and turbo.usual.num_inference_steps <= 4
    assert all(engines[kind].facts.guidance == "classifier-free" for kind in KINDS if kind != "turbo-tiny")
    zero = engines["zero-snr-tiny"].facts
    assert zero.usual.guidance_rescale == 0.7 and {"ddim", "euler", "ddpm"} <= set(zero.samplers)
    assert "heun" not in zero.samplers  # diffusers' knows no schedule that ends in pure noise
    odd = engines["odd-tiny"].facts
    assert (odd.scale, odd.channels, odd.multiple) == (4, 8, 8) and odd.latent_shape(64, 96) == (1, 8, 24, 16)


def test_a_schedule_that_ends_in_pure_noise_has_finite_levels_and_previews(engines: dict[str, LocalEngine]) -> None:
    engine = engines["zero-snr-tiny"]
    recipe = engine.facts.usual.replace(num_inference_steps=4)
    first, *rest = levels(recipe, engine.facts.schedule)
    assert (first.signal, first.noise, first.sigma) == (0.0, 1.0, math.inf) and first.log_snr == -math.inf
    assert all(math.isfinite(level.sigma) for level in rest)
    keep = Keep(latents=True, predictions=True, pictures=frozenset({0}))
    for event in engine.run([recipe], keep=keep):
        if isinstance(event, Step):
            kept = event.kept
            assert all(torch.isfinite(x).all() for x in (kept.x_t, kept.x0, kept.eps, kept.eps_cond))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_ask_is_answered(engines: dict[str, LocalEngine], kind: str) -> None:
    engine, side = engines[kind], engines[kind].facts.side
    recipe = engine.facts.usual.replace(prompt="cat", num_inference_steps=4)
    result = engine.render(recipe)
    assert result.image.size == (side, side)
    x0 = next(engine.ask([Encode(result.image)])).value
    assert tuple(x0.shape) == engine.facts.latent_shape(side, side)
    (question, decoded) = sorted(engine.ask([Question(x0, 500, ("a", "b")), Decode(x0)]), key=lambda a: a.cell)
    assert question.value.shape == (2, *x0.shape[1:]) and decoded.value[0].size == (side, side)
    looks = [e.kept.look for e in engine.run([recipe], keep=Keep(attention=True)) if isinstance(e, Step)]
    shares = [shares for look in looks for shares in look.maps.values()]
    assert shares and all(len(x) == engine.facts.tokens and torch.allclose(x.sum(0), torch.ones(())) for x in shares)
    guessed = [e for e in engine.run([recipe], start=Start(x0, 600)) if isinstance(e, Done)]
    assert len(guessed) == 1
    anatomy = engine.anatomy(side, side)
    assert engine.cost(side, side).unet_latents > 0 and anatomy.unet_blocks[-1].gives == tuple(x0.shape)
    assert anatomy.decoder_blocks[-1].gives == (1, 3, side, side)
    assert len(engine.words("cat").tokens) == engine.facts.tokens


def test_what_a_model_cannot_draw_is_said_in_one_sentence(engines: dict[str, LocalEngine]) -> None:
    usual = engines["zero-snr-tiny"].facts.usual
    for recipe, words in (
        (usual.replace(sampler="heun"), "sampler must be one of"),
        (usual.replace(model="pocket"), "model must be zero-snr-tiny"),
        (usual.replace(loras={"ink": 1}), "this model has none"),
    ):
        with pytest.raises(Refusal, match=words):
            engines["zero-snr-tiny"].render(recipe)


def test_sides_that_a_coarser_vae_cannot_divide_are_refused(engines: dict[str, LocalEngine]) -> None:
    from dataclasses import replace

    coarse = replace(engines["sd15-tiny"].facts, multiple=16)
    with pytest.raises(Refusal, match="^width must be a multiple of 16 for this model, not 72"):
        coarse.check(coarse.usual.replace(width=72))


def test_recipes_as_json_may_leave_out_what_the_model_decides(engines: dict[str, LocalEngine]) -> None:
    facts = engines["sd21-tiny"].facts
    recipe = facts.recipe({"prompt": "cat"})
    assert (recipe.model, recipe.width, recipe.height) == ("sd21-tiny", 96, 96)
    assert facts.recipe({"model": "pocket"}).model == "pocket"  # said, so it is for `check` to refuse
    with pytest.raises(Refusal, match="JSON object"):
        facts.recipe([])


def test_sampler_table_and_folders_of_other_kinds(tmp_path: Path) -> None:
    assert set(SAMPLERS) >= {"ddim", "euler"}
    for index, words in (
        (
            '{"_class_name": "StableDiffusionControlNetPipeline"}',
            "is a StableDiffusionControlNetPipeline, which cannot be run here",
        ),
        ("[1]", "names no pipeline"),
        ("{", "is not valid JSON"),
        ('{"_class_name": "StableDiffusionPipeline"}', "is no whole model: it has no scheduler, no text_encoder, no"),
    ):
        (tmp_path / "model_index.json").write_text(index)
        with pytest.raises(Refusal, match=words) as caught:
            load_model(tmp_path, CPU)
        assert "\n" not in str(caught.value)
