"""Pipelines of diffusers that no family here knows: their own picture, their own fields, stopped between two steps."""

import json
import runpy
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    AuraFlowPipeline,
    AuraFlowTransformer2DModel,
    DDIMScheduler,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    StableDiffusionPAGPipeline,
    StableDiffusionPipeline,
)
from PIL import Image

from playground import open_engine
from playground.engine import Decode, Done, Failed, Keep, LocalEngine, Step
from playground.export.script import to_script
from playground.refusal import Refusal
from tests.models.tiny_families import WIDTH, t5, vae
from tests.reference import largest_difference

CPU = (torch.device("cpu"), torch.float32, "torch")


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
    [("aura-tiny", {}, 2), ("pag-tiny", {"eta": 0.5, "guidance_rescale": 0.3}, 3)],
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
        expected = pipeline(
            prompt=recipe.prompt, negative_prompt=recipe.negative_prompt, num_inference_steps=3, width=64, height=64,
            guidance_scale=recipe.guidance_scale, generator=torch.Generator().manual_seed(recipe.seed), **own,
        ).images[0]  # fmt: skip
        assert largest_difference(done[cell], np.asarray(expected).astype(int)) == 0
    assert done[0].evaluations == 3 * rows  # counted: perturbed attention asks for a third row
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["picture.py", engine.facts.folder])
    Path("picture.py").write_text(to_script(base, engine.facts), encoding="utf-8")
    runpy.run_path("picture.py", run_name="__main__")
    assert largest_difference(done[0], np.asarray(Image.open("picture.png")).astype(int)) == 0


def test_stop_ends_a_picture_between_two_steps(opened: dict[str, LocalEngine]) -> None:
    engine = opened["aura-tiny"]
    recipe = engine.facts.usual.replace(prompt="cat", num_inference_steps=900, width=64, height=64)
    with closing(engine.run([recipe, recipe.replace(seed=2)])) as events:
        assert next(events).k == 1
    other = engine.render(recipe.replace(num_inference_steps=2))
    assert other.evaluations == 4 and not engine.loop.requests[1:]


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


def test_what_cannot_be_run_so_is_one_sentence(opened: dict[str, LocalEngine], tmp_path: Path) -> None:
    made = Path(opened["aura-tiny"].facts.folder)
    for kind, says in {
        "StableDiffusionUpscalePipeline": "its pipeline does not take height, width",
        "StableDiffusionInpaintPipeline": "cannot be",
        "NoSuchPipeline": "diffusers has no pipeline of that name",
        "AutoencoderKL": "diffusers has no pipeline of that name",
        "LDMTextToImagePipeline": "its pipeline does not take callback_on_step_end",
    }.items():
        folder = tmp_path / kind
        shutil.copytree(made, folder)
        listed = json.loads((folder / "model_index.json").read_text())
        (folder / "model_index.json").write_text(json.dumps(listed | {"_class_name": kind}))
        with pytest.raises(Refusal, match=says):
            open_engine(folder, *CPU)
    (folder / "model_index.json").write_text(json.dumps(listed | {"transformer": ["own_code", "Network"]}))
    with pytest.raises(Refusal, match="needs code of its own for its transformer, which is not run here"):
        open_engine(folder, *CPU)
