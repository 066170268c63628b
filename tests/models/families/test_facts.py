"""What each family is told to be, and its views: levels, questions to the network, runs from a picture."""

import inspect
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from playground.engine import Decode, Done, Encode, Failed, Keep, LocalEngine, Question, Start, Step
from playground.models import load_model, registry
from playground.refusal import Refusal
from playground.schedule import amplitudes, is_flow, level_at, levels
from tests.models.tiny_families import FAMILIES
from tests.models.tiny_flow_families import FLOW_FAMILIES

FLOWS = ("sd3-tiny", "sd35-tiny", "flux-dev-tiny", "flux-schnell-tiny", *FLOW_FAMILIES)


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_kind_of_ask_is_answered(engine_of: Callable[[str], LocalEngine], kind: str) -> None:
    engine, facts = engine_of(kind), engine_of(kind).facts
    recipe = facts.usual.replace(prompt="cat", num_inference_steps=4, width=64, height=64)
    result = engine.render(recipe)
    x0 = next(engine.ask([Encode(result.image)])).value
    assert tuple(x0.shape) == facts.latent_shape(64, 64)
    question, decoded = sorted(engine.ask([Question(x0, 500, ("a", "b")), Decode(x0)]), key=lambda a: a.cell)
    assert question.value.shape == (2, *x0.shape[1:]) and decoded.value[0].size == (64, 64)
    assert not torch.equal(*question.value)  # the words reach the network
    assert len([e for e in engine.run([recipe], start=Start(x0, 900)) if isinstance(e, Done)]) == 1
    looked = list(engine.run([recipe], keep=Keep(attention=True)))
    if facts.network == "U-Net":
        looks = [event.kept.look for event in looked if isinstance(event, Step)]
        assert len(looks) == 4 and all(len(shares) == facts.tokens for look in looks for shares in look.maps.values())
        assert all(torch.allclose(shares.sum(0), torch.ones(())) for look in looks for shares in look.maps.values())
    else:
        assert len(looked) == 1 and isinstance(looked[0], Failed) and looked[0].reason == facts.no_attention
    anatomy = engine.anatomy(64, 64)
    frames = (1,) if kind == "qwen-image-tiny" else ()  # whose VAE is one for films
    assert anatomy.unet_blocks and anatomy.decoder_blocks[-1].gives == (1, 3, *frames, 64, 64)
    assert engine.cost(64, 64).unet_latents > 0
    assert len(engine.words("cat").tokens) == facts.tokens


@pytest.mark.parametrize("kind", FLOWS)
def test_a_flow_run_walks_the_straight_line(engine_of: Callable[[str], LocalEngine], kind: str) -> None:
    """x_t = (1−σ) x₀ + σ ε at every call, for the answer that the sampler goes on with."""
    engine, facts = engine_of(kind), engine_of(kind).facts
    assert is_flow(facts.schedule)
    for sampler in facts.samplers:
        recipe = facts.usual.replace(prompt="cat", sampler=sampler, num_inference_steps=4, width=64, height=64)
        stands = levels(recipe, facts.schedule)
        assert all(level.signal + level.noise == pytest.approx(1) for level in stands)
        assert (stands[-1].signal, stands[-1].noise) == (1, 0) and stands[0].noise > 0.99
        for event in engine.run([recipe], keep=Keep(latents=True, predictions=True)):
            if isinstance(event, Step):
                kept, at = event.kept, stands[event.k - 1]
                assert torch.allclose(at.signal * kept.x0 + at.noise * kept.eps, kept.x_t, atol=1e-4)


def test_a_flow_model_is_told_the_level_that_it_is_asked_at(engine_of: Callable[[str], LocalEngine]) -> None:
    config = engine_of("sd3-tiny").facts.schedule
    signal, noise = amplitudes(config)
    assert len(signal) == 1000 and torch.equal(signal + noise, torch.ones(1000))
    assert (level_at(config, 250).signal, level_at(config, 250).noise) == (0.75, 0.25)


@pytest.mark.parametrize("kind", ["z-image-tiny", "lumina2-tiny", "qwen-image-tiny"])
def test_a_templates_tokens_are_counted(engine_of: Callable[[str], LocalEngine], kind: str) -> None:
    """What the text encoder reads of a prompt are the shown tokens and those of the pipeline's template."""
    engine, dropped = engine_of(kind), 34 if kind == "qwen-image-tiny" else 0  # which that pipeline takes away again
    words, read = engine.words("red apple"), engine.model.encode("red apple")
    mask = read.get("encoder_attention_mask", torch.ones(1, next(iter(read.values())).shape[1]))
    assert words.around > 10 and int(mask.sum()) == words.needed + words.around - dropped


def test_a_prompt_fills_what_the_template_leaves(engine_of: Callable[[str], LocalEngine]) -> None:
    engine = engine_of("flux2-klein-tiny")
    room = engine.facts.tokens
    assert not engine.words("a" * room).truncated and engine.words("a" * (room + 1)).truncated
    less, full, more = (engine.model.encode("a" * n)["encoder_hidden_states"] for n in (room - 1, room, room + 1))
    assert torch.equal(full, more) and not torch.equal(full, less)


def test_what_each_family_is_made_for(engine_of: Callable[[str], LocalEngine]) -> None:
    for kind in FAMILIES:
        facts = engine_of(kind).facts
        engine_of(kind).check(facts.usual)
        facts.check(facts.recipe({"prompt": "cat"}))  # in which nobody names a sampler or a scale
        assert facts.network == ("U-Net" if kind.startswith("sdxl") else "transformer")
    dev, schnell = engine_of("flux-dev-tiny").facts, engine_of("flux-schnell-tiny").facts
    assert (dev.guidance, schnell.guidance) == ("embedded", "none")
    assert dev.evaluations(dev.usual) == dev.usual.num_inference_steps
    assert dev.evaluations(dev.usual.replace(true_cfg_scale=2)) == 2 * dev.usual.num_inference_steps
    assert dev.has_true_cfg and dev.guided(dev.usual_guided) and schnell.usual_guided == schnell.usual
    assert not engine_of("qwen-image-tiny").facts.has_true_cfg  # what its pipeline calls so is its guidance_scale
    assert engine_of("sdxl-turbo-tiny").facts.guidance == "none"
    assert "heun" in engine_of("sd3-tiny").facts.samplers and "heun" not in engine_of("sd35-tiny").facts.samplers
    z, turbo = engine_of("z-image-tiny").facts, engine_of("z-image-turbo-tiny").facts
    assert (z.guidance, turbo.guidance, turbo.usual.guidance_scale) == ("classifier-free", "none", 0)
    assert z.guided(z.usual.replace(guidance_scale=0.5)) and not z.guided(z.usual.replace(guidance_scale=0))
    klein, klein_base = engine_of("flux2-klein-tiny").facts, engine_of("flux2-klein-base-tiny").facts
    assert (klein.guidance, klein_base.guidance) == ("none", "classifier-free")
    unused = {kind for kind in FAMILIES if not engine_of(kind).facts.has_guidance_scale}
    assert unused == {"flux-schnell-tiny", "flux2-klein-tiny"}
    for facts in (schnell, klein):  # as in a grid over models of which others guide; their pipelines do not look at it
        facts.check(unused := facts.usual.replace(guidance_scale=7))
        assert facts.used(unused) == facts.used(facts.usual) and not facts.honours("guidance_scale", unused)
    with pytest.raises(Refusal, match="^true_cfg_scale must be 1 for this model: it was taught to draw without"):
        klein.check(klein.usual.replace(true_cfg_scale=2))
    with pytest.raises(Refusal, match="^guidance_rescale must be 0 for this model: its pipeline does not have it"):
        z.check(z.usual.replace(guidance_rescale=0.5))
    with pytest.raises(Refusal, match="^height must be a multiple of 32 for this model"):
        engine_of("sana-tiny").facts.check(z.usual.replace(model="sana-tiny", width=96, height=72))
    with pytest.raises(Refusal, match="^true_cfg_scale must be 1 for this model"):
        engine_of("sd3-tiny").check(engine_of("sd3-tiny").facts.usual.replace(true_cfg_scale=2))
    qwen = engine_of("qwen-image-tiny").facts
    with pytest.raises(Refusal, match="^num_inference_steps must be at least 2 for this model: its first and last"):
        qwen.check(qwen.usual.replace(num_inference_steps=1))
    with pytest.raises(Refusal, match="^width must be a multiple of 16 for this model"):
        dev.check(dev.usual.replace(width=72))


def test_only_u_nets_start_from_a_picture(engine_of: Callable[[str], LocalEngine]) -> None:
    for kind in FAMILIES:
        facts = engine_of(kind).facts
        assert bool(facts.no_start) == (facts.network == "transformer")
        if facts.no_start:
            with pytest.raises(Refusal, match="^image must be empty for this model. .* start"):
                facts.check(facts.usual.replace(image="0" * 64))


def test_a_broken_folder_is_one_sentence(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    broken = shutil.copytree(folder_of("flux-schnell-tiny"), tmp_path / "broken")
    weights = next((broken / "transformer").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(Refusal, match="^The model in broken cannot be loaded: ") as caught:
        load_model(broken, torch.device("cpu"))
    assert "\n" not in str(caught.value)


def test_each_family_is_one_file_of_less_than_120_lines() -> None:
    """What several share, and the machinery under them all, is beside them."""
    files = {family: inspect.getsourcefile(family) for family in registry.FAMILIES.values()}
    assert len(set(files.values())) == len(files) == 10
    longest = {Path(file).name: len(Path(file).read_text(encoding="utf-8").splitlines()) for file in files.values()}
    assert max(longest.values()) < 120, longest
