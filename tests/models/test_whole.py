"""Pipelines of diffusers that no family here knows: their own picture, their own fields, stopped between two steps."""

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import torch
from diffusers import (
    AuraFlowPipeline,
    AuraFlowTransformer2DModel,
    DDIMScheduler,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    StableDiffusion3PAGPipeline,
    StableDiffusionPAGPipeline,
    StableDiffusionPipeline,
)
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from playground import Sweep, open_engine
from playground.engine import Decode, Done, Failed, Keep, LocalEngine, Step
from playground.engine.local import _say
from playground.export.script import to_script
from playground.refusal import Refusal
from playground.sources.others import pipeline_of
from playground.sources.parts import PIPELINES
from playground.ui.compare.form import Form, special
from tests.models.tiny_families import WIDTH, sd3, t5, vae
from tests.reference import drawn_by_program, largest_difference

CPU = (torch.device("cpu"), torch.float32, "torch")
AURA_FLOW = {  # what an index lists of it
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "T5EncoderModel"],
    "tokenizer": ["transformers", "T5Tokenizer"],
    "transformer": ["diffusers", "AuraFlowTransformer2DModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def aura_flow(folder: Path) -> Path:
    torch.manual_seed(7)
    tokenizer, text_encoder = t5()
    transformer = AuraFlowTransformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, num_mmdit_layers=1, num_single_dit_layers=1, attention_head_dim=8,
        num_attention_heads=4, caption_projection_dim=32, joint_attention_dim=WIDTH, out_channels=4,
        pos_embed_max_size=256,
    )  # fmt: skip
    pipeline = AuraFlowPipeline(
        tokenizer, text_encoder, vae(4), transformer, FlowMatchEulerDiscreteScheduler(shift=1.7)
    )
    pipeline.save_pretrained(folder)
    return folder


def guided_by_attention(small: Path, folder: Path) -> Path:
    """Perturbed-attention guidance, which is a pipeline of its own around the networks of Stable Diffusion."""
    plain = StableDiffusionPipeline.from_pretrained(small, safety_checker=None)
    scheduler = DDIMScheduler.from_config(plain.scheduler.config)
    pipeline = StableDiffusionPAGPipeline(**plain.components | {"scheduler": scheduler}, requires_safety_checker=False)
    pipeline.save_pretrained(folder)
    return folder


def with_two_kinds_of_text_encoders(folder: Path) -> Path:
    """The same around the networks of Stable Diffusion 3, of which CLIP reads 32 tokens here."""
    parts = {name: part for name, part in sd3().components.items() if part is not None}
    StableDiffusion3PAGPipeline(**parts).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path]) -> Iterator[dict[str, LocalEngine]]:
    folder = tmp_path_factory.mktemp("whole")
    made = [aura_flow(folder / "aura-tiny"), guided_by_attention(folders["sd15-tiny"], folder / "pag-tiny")]
    engines = {path.name: open_engine(path, *CPU) for path in made}
    yield engines
    for engine in engines.values():
        engine.close()


@pytest.mark.parametrize(
    ("kind", "own", "rows"),
    [
        ("aura-tiny", {}, 2),
        ("pag-tiny", {"eta": 0.5, "guidance_rescale": 0.3}, 3),
        ("pag-tiny", {"clip_skip": 1}, 3),  # whose last norm newer transformers have elsewhere
    ],
)
def test_a_picture_is_the_pipelines_own_also_as_a_program(
    opened: dict[str, LocalEngine],
    kind: str,
    own: dict,
    rows: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = opened[kind]
    engine.check(engine.facts.recipe({"prompt": "cat"}))  # in which nobody names a sampler
    base = engine.facts.usual.replace(
        prompt="red apple", negative_prompt="cat", num_inference_steps=3, width=64, height=64, seed=3, **own
    )
    cells = [base, base.replace(seed=4), base.replace(guidance_scale=2.0)]
    told = list(engine.run(cells, keep=Keep(latents=True)))  # as Compare asks; nothing of latents comes
    done = {event.cell: event.result for event in told if isinstance(event, Done)}
    assert [(e.k, e.of) for e in told if isinstance(e, Step) and e.cell == 0] == [(1, 3), (2, 3), (3, 3)]
    assert all(e.kept is None and e.preview is None for e in told if isinstance(e, Step))
    pipeline = DiffusionPipeline.from_pretrained(engine.facts.folder)
    pipeline.set_progress_bar_config(disable=True)
    for cell, recipe in enumerate(cells):
        with monkeypatch.context() as patch:
            patch.setattr(CLIPTextModel, "text_model", property(lambda self: self), raising=False)
            expected = pipeline(
                prompt=recipe.prompt, negative_prompt=recipe.negative_prompt, num_inference_steps=3, width=64,
                height=64, guidance_scale=recipe.guidance_scale, generator=torch.Generator().manual_seed(recipe.seed),
                **own,
            ).images[0]  # fmt: skip
        assert largest_difference(done[cell], np.asarray(expected).astype(int)) == 0
    assert done[0].evaluations == 3 * rows  # counted: perturbed attention asks for a third row
    monkeypatch.chdir(tmp_path)
    assert largest_difference(done[0], drawn_by_program(to_script(base, engine.facts), engine.facts.folder)) == 0


def test_stop_ends_a_picture_between_two_steps(opened: dict[str, LocalEngine]) -> None:
    engine = opened["aura-tiny"]
    recipe = engine.facts.usual.replace(prompt="cat", num_inference_steps=900, width=64, height=64)
    with closing(engine.run([recipe, recipe.replace(seed=2)])) as events:
        assert next(events).k == 1
    other = engine.render(recipe.replace(num_inference_steps=2))
    assert other.evaluations == 4 and not engine.loop.requests[1:]


@pytest.mark.parametrize("part", ["transformer", "vae"])
def test_what_is_no_number_is_a_failed_cell_and_no_black_picture(part: str, tmp_path: Path) -> None:
    folder = aura_flow(tmp_path / "aura-tiny")
    weights = folder / part / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    last = "proj_out.weight" if part == "transformer" else "decoder.conv_out.weight"
    save_file(tensors | {last: torch.full_like(tensors[last], torch.nan)}, weights, metadata={"format": "pt"})
    engine = open_engine(folder, *CPU)
    recipe = engine.facts.usual.replace(prompt="cat", num_inference_steps=2, width=64, height=64)
    ended = [event for event in engine.run([recipe]) if not isinstance(event, Step)]
    engine.close()
    assert [getattr(event, "reason", "") for event in ended] == [
        "The latents became infinite, so there is no picture; try a lower guidance scale."
    ]


@pytest.mark.parametrize(
    ("kind", "wrong", "says"),
    [
        (
            "aura-tiny",
            {"guidance_rescale": 0.5},
            "guidance_rescale must be 0 for this model: its pipeline does not take",
        ),
        ("aura-tiny", {"clip_skip": 1}, "clip_skip must be 0 for this model: its pipeline does not take it"),
        ("aura-tiny", {"shift": 2.0}, "shift must be 0 for this model: its pipeline does not take it"),
        ("aura-tiny", {"loras": {"ink": 1.0}}, "loras must be empty for this model: its pipeline does not take it"),
        ("aura-tiny", {"image": "0" * 64}, "image must be empty for this model"),
        ("aura-tiny", {"sampler": "ddim"}, "sampler must be one of euler for this model, not ddim"),
        ("pag-tiny", {"true_cfg_scale": 2.0}, "true_cfg_scale must be 1 for this model: its pipeline does not take it"),
        ("pag-tiny", {"shift": 2.0}, "shift must be 0 for this model: its pipeline does not take it"),
    ],
)
def test_a_field_that_it_does_not_take_is_refused_by_name(
    opened: dict[str, LocalEngine], kind: str, wrong: dict, says: str
) -> None:
    with pytest.raises(Refusal, match=f"^{says}"):
        opened[kind].check(opened[kind].facts.usual.replace(**wrong))


def test_what_looks_into_steps_is_refused_in_one_sentence(opened: dict[str, LocalEngine]) -> None:
    engine = opened["aura-tiny"]
    recipe = engine.facts.usual.replace(num_inference_steps=2, width=64, height=64)
    for keep in (Keep(predictions=True), Keep(attention=True), Keep(pictures=frozenset({0}))):
        (failed,) = engine.run([recipe], keep=keep)
        assert isinstance(failed, Failed) and failed.reason == engine.facts.whole
    for asking in (lambda: next(engine.ask([Decode(torch.zeros(1, 4, 8, 8))])), lambda: engine.anatomy(64, 64)):
        with pytest.raises(Refusal, match="^This model is run by its own pipeline, one picture at a time"):
            asking()
    assert len(engine.words("red apple").tokens) == 256 == engine.facts.tokens


def test_what_its_first_text_encoder_cuts_off_others_may_read(tmp_path: Path) -> None:
    engine = open_engine(with_two_kinds_of_text_encoders(tmp_path / "pag3-tiny"), *CPU)
    words = engine.words("cat " * 40)
    assert (words.limit, words.reader) == (32, "its first text encoder") and words.truncated
    assert words.besides == "Its other text encoders may read more of it."
    recipe = engine.facts.usual.replace(prompt="cat " * 40, num_inference_steps=2, width=64, height=64)
    longer, drawn = recipe.replace(prompt="cat " * 40 + "owl"), engine.render(recipe)
    assert largest_difference(drawn, np.asarray(engine.render(longer).image).astype(int)) > 0  # by T5
    engine.close()


def test_what_cannot_be_run_so_is_one_sentence(opened: dict[str, LocalEngine], tmp_path: Path) -> None:
    made = Path(opened["aura-tiny"].facts.folder)
    for kind, says in {"NoSuchPipeline": "diffusers has no", "LTXPipeline": "its pipeline draws films"}.items():
        folder = tmp_path / kind
        shutil.copytree(made, folder)
        listed = json.loads((folder / "model_index.json").read_text())
        (folder / "model_index.json").write_text(json.dumps(listed | {"_class_name": kind}))
        with pytest.raises(Refusal, match=says):
            open_engine(folder, *CPU)
    (folder / "model_index.json").write_text(json.dumps(listed | {"transformer": ["own_code", "Network"]}))
    with pytest.raises(Refusal, match="needs code of its own for its transformer, which is not run here"):
        open_engine(folder, *CPU)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"_class_name": "StableDiffusionUpscalePipeline"}, "its pipeline does not take height, width"),
        ({"_class_name": "StableDiffusionAttendAndExcitePipeline"}, "its pipeline needs token_indices besides words"),
        ({"_class_name": "KandinskyPipeline"}, "its pipeline needs image_embeds besides words"),
        ({"_class_name": "IFSuperResolutionPipeline"}, "its pipeline needs a picture besides words"),
        ({"_class_name": "SpectrogramDiffusionPipeline"}, "diffusers needs note_seq for it, which is not installed"),
        ({"_class_name": "AutoencoderKL"}, "diffusers has no pipeline of that name"),
        ({"_class_name": "LattePipeline"}, "its pipeline draws films"),
        ({"_class_name": "StableDiffusionInpaintPipeline"}, "its pipeline needs a picture besides words"),
        ({"_class_name": "StableDiffusion3Img2ImgPipeline"}, "its pipeline needs a picture besides words"),
        ({"_class_name": "SanaControlNetPipeline"}, "its pipeline needs a picture besides words"),
        ({"_class_name": "QwenImageEditPipeline"}, "its pipeline needs a picture besides words"),
        (
            {"scheduler": ["diffusers", "KarrasVeScheduler"]},
            "its scheduler, KarrasVeScheduler, is none of the samplers",
        ),
        ({"scheduler": None}, "it is not made of a scheduler and a U-Net or transformer"),
    ],
)
def test_what_cannot_be_asked_for_a_picture_from_words_is_known_by_its_index(changed: dict, says: str) -> None:
    listed = AURA_FLOW | {"_class_name": "AuraFlowPipeline"} | changed
    with pytest.raises(Refusal, match=says):
        pipeline_of({part: said for part, said in listed.items() if said is not None}, "it")


def test_what_a_family_runs_could_be_asked_so_as_well() -> None:
    for kind in PIPELINES:
        assert pipeline_of(AURA_FLOW | {"_class_name": kind}, "it").__name__ == kind


def test_options_that_it_has_no_use_for_are_said_and_loras_left_out(
    opened: dict[str, LocalEngine], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """So that `--loras` beside several models, of which this is one, starts."""
    save_file({"unet.up.lora_A.weight": torch.zeros(1, 1)}, tmp_path / "ink.safetensors")
    folder = Path(opened["aura-tiny"].facts.folder)
    _say.cache_clear()
    with caplog.at_level(logging.WARNING, logger="playground"):
        engine = open_engine(folder, *CPU, loras=[tmp_path], preview=tmp_path)
    engine.close()
    assert [record.message for record in caplog.records if record.name.startswith("playground")] == [
        "--preview is not used for aura-tiny, which is run by its own pipeline: its steps are not looked into.",
        "The LoRA ink is left out for aura-tiny: it is run by its own pipeline, to whose networks no LoRA is added "
        "here.",
    ]
    assert set(engine.facts.left_out) == {"ink"} and not engine.facts.loras
    with gr.Blocks() as page:  # says it as for other models
        Form(Sweep(engine.facts.usual, {"seed": [1, 2]}), engine.facts)
    said = [block.value for block in page.blocks.values() if block.elem_id == "loras-left-out"]
    assert len(said) == 1 and "LoRAs left out for this model: ink." in said[0]
    with pytest.raises(Refusal, match="^loras must be empty for this model"):
        engine.check(engine.facts.usual.replace(loras={"ink": 1.0}))


def test_memory_is_kept_to_or_a_sentence_says_what_would_do(opened: dict[str, LocalEngine]) -> None:
    """On a CPU, where diffusers moves nothing."""
    folder = Path(opened["aura-tiny"].facts.folder)
    engine = open_engine(folder, *CPU, memory=10**9)
    assert engine.facts.memory == ""
    engine.close()
    with pytest.raises(Refusal, match=r"^aura-tiny does not fit: it needs at least .* --memory [\d.]+MB would do\.$"):
        open_engine(folder, *CPU, memory=10**6)


def test_fields_are_on_the_form_where_its_pipeline_takes_them(opened: dict[str, LocalEngine]) -> None:
    shown = {kind: [name for name, there in special(engine.facts).items() if there] for kind, engine in opened.items()}
    assert shown == {"aura-tiny": [], "pag-tiny": ["guidance_rescale", "eta", "clip_skip"]}
    does_not_take = replace(opened["pag-tiny"].facts, takes=("guidance_scale",))  # though its sampler, DDIM, has eta
    assert not special(does_not_take)["eta"]
