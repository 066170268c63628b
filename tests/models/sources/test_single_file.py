"""A file in the published layout draws what its weights draw in diffusers' own layout."""

import logging
import shutil
from pathlib import Path

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, DiffusionPipeline, UNet2DConditionModel
from diffusers.loaders import single_file_utils as diffusers_names
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from playground import open_engine, pictures
from playground.engine.local import _say
from playground.export.script import START, to_script
from playground.models import REGISTERED
from playground.models.running import plan as plans
from playground.models.running.plan import FP8, Plan
from playground.models.single_file import predicts_noise, tokenizer
from playground.refusal import Refusal
from playground.sources.single_file import LAYOUTS, PUBLISHED
from playground.ui.shared.samples import IMAGES
from tests.models.sources import original_layout
from tests.models.tiny import build
from tests.models.tiny_families import clip, sdxl, sdxl_turbo
from tests.reference import TOLERANCE, drawn_by_program, largest_difference, plain

CPU = (torch.device("cpu"), torch.float32, "torch")
# whether the text encoder is written as 2.x has it; the README's table says one file of these
KINDS = {"sd15-tiny": False, "sd21-tiny": True, "turbo-tiny": True, "sdxl-tiny": False, "sdxl-turbo-tiny": False}


def folder_of(kind: str, to: Path) -> Path:
    """SDXL's two text encoders are told apart by their width, so here they have two."""
    if not kind.startswith("sdxl"):
        return build(kind, to)
    torch.manual_seed(1)
    whole = sdxl_turbo() if kind == "sdxl-turbo-tiny" else sdxl()
    narrow = CLIPTextModel(CLIPTextConfig(**clip(pooled=False)[1].config.to_dict() | {"hidden_size": 16}))
    unet = UNet2DConditionModel.from_config({**whole.unet.config, "cross_attention_dim": 48})
    whole.register_modules(text_encoder=narrow, unet=unet)
    whole.save_pretrained(to / kind)
    return to / kind


@pytest.mark.parametrize("kind", KINDS)
def test_it_draws_what_the_pipeline_of_the_same_weights_draws(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(kind, tmp_path / "folders")
    path = original_layout.write(folder, tmp_path, KINDS[kind], **{"modelspec.license": "OpenRAIL-M"})
    (tmp_path / "loras").mkdir()
    save_file({"any": torch.zeros(1)}, tmp_path / "loras" / "ink.safetensors")
    engine = open_engine(path, *CPU)
    try:
        facts = engine.facts
        assert (facts.name, facts.licence, list(facts.loras)) == (kind, "OpenRAIL-M", ["ink"])
        pipeline = DiffusionPipeline.from_pretrained(folder)
        pipeline.set_progress_bar_config(disable=True)
        recipe = facts.usual.replace(
            prompt="red apple", negative_prompt="cat", seed=3, num_inference_steps=4, width=64, height=64
        )
        expected = plain(pipeline, recipe)
        assert expected.std() > 3
        assert largest_difference(engine.render(recipe), expected) <= TOLERANCE
        monkeypatch.chdir(tmp_path)
        begin = pictures.fitted(pictures.open_picture(IMAGES / "dusk.webp"), 64, 64)
        begin.save(START)
        for each in (recipe, recipe.replace(image=pictures.digest(begin), strength=0.5)):
            drawn = drawn_by_program(to_script(each, facts), path, path.with_suffix(""))
            assert largest_difference(engine.render(each, {each.image: begin}), drawn) <= TOLERANCE
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("kind", "name", "title", "doubted"),
    [
        ("sd15-tiny", "sd_turbo", "", True),
        ("sd15-tiny", "mine", "Mine, Lightning 4 steps", True),
        ("sd15-tiny", "hyperrealistic", "Mine", False),
        ("turbo-tiny", "sd_turbo", "", False),
    ],
)
def test_a_file_named_for_few_steps_without_such_settings_is_said_to_be_read_as_a_plain_one(
    kind: str, name: str, title: str, doubted: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = build(kind, tmp_path / "folders").rename(tmp_path / "folders" / name)
    path = original_layout.write(folder, tmp_path, KINDS[kind], **{"modelspec.title": title})
    _say.cache_clear()
    with caplog.at_level(logging.WARNING, logger="playground"):
        open_engine(path, *CPU).close()
    said = [record.message for record in caplog.records if record.name.startswith("playground")]
    sentence = (
        f"{name}.safetensors is named as a model for few steps, and no setting of it says so, so it is read as a plain "
        f"one; the scheduler in a folder {name} beside it can say it."
    )
    assert said == ([sentence] if doubted else [])


def test_other_settings_beside_it_give_other_kept_pictures(tmp_path: Path) -> None:
    path = original_layout.write(build("sd15-tiny", tmp_path / "folders"), tmp_path)

    def fingerprint() -> str:
        engine = open_engine(path, *CPU)
        engine.close()
        return engine.facts.fingerprint

    first = fingerprint()
    assert fingerprint() == first
    settings = tmp_path / "sd15-tiny" / "scheduler" / "scheduler_config.json"
    settings.write_text(settings.read_text().replace('"epsilon"', '"v_prediction"'))
    assert fingerprint() != first


@pytest.mark.parametrize("layout", PUBLISHED)
def test_the_shipped_settings_are_those_of_the_published_weights(layout: str) -> None:
    """By names and shapes: what the networks of these settings hold, renamed to the published names, is renamed back by
    diffusers to exactly what they need. Nothing is allocated."""
    folder = LAYOUTS / layout
    _, texts, *_ = PUBLISHED[layout]
    with init_empty_weights():
        unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(folder / "unet"))
        vae = AutoencoderKL.from_config(AutoencoderKL.load_config(folder / "vae"))
        encoders = [CLIPTextModel(CLIPTextConfig.from_pretrained(folder / "text_encoder"))]
        if len(texts) == 2:
            encoders.append(CLIPTextModelWithProjection(CLIPTextConfig.from_pretrained(folder / "text_encoder_2")))
    parameters = [sum(p.numel() for p in part.parameters()) for part in (unet, vae, *encoders)]
    assert (
        parameters
        == {  # as the models' cards and papers have them
            "sd1": [859_520_964, 83_653_863, 123_060_480],
            "sd2": [865_910_724, 83_653_863, 340_387_840],
            "sdxl": [2_567_463_684, 83_653_863, 123_060_480, 694_659_840],
        }[layout]
    )
    words = [len(tokenizer("!"))] * len(encoders)
    assert [encoder.get_input_embeddings().weight.shape[0] for encoder in encoders] == words
    published = original_layout.unet(unet.state_dict(), unet.config.layers_per_block)
    back = diffusers_names.convert_ldm_unet_checkpoint(dict(published), unet.config)
    assert {k: x.shape for k, x in back.items()} == {k: x.shape for k, x in unet.state_dict().items()}
    published = original_layout.vae(vae.state_dict(), len(vae.config.block_out_channels))
    back = diffusers_names.convert_ldm_vae_checkpoint(dict(published), vae.config)
    assert back.keys() == vae.state_dict().keys()


def test_the_shipped_tokenizer_is_clips() -> None:
    """The numbers that CLIP's paper code and everybody since gives these words."""
    words = "a photo of an astronaut riding a horse"
    assert tokenizer("!")(words).input_ids == [49406, 320, 1125, 539, 550, 18376, 6765, 320, 4558, 49407]
    padded = [tokenizer(mark)("a", padding="max_length").input_ids for mark in ("<|endoftext|>", "!")]
    assert padded == [[49406, 320, 49407] + [49407] * 74, [49406, 320, 49407] + [0] * 74]


class Velocity(nn.Module):
    """A network that predicts noise, asked for velocity: v = √ᾱ ε − √(1−ᾱ) x̂₀ at the last step."""

    def __init__(self, unet: UNet2DConditionModel, alpha_bar: float) -> None:
        super().__init__()
        self.unet, self.alpha_bar = unet, alpha_bar
        self.config = unet.config

    def forward(self, x: torch.Tensor, t: int, **told: object) -> tuple[torch.Tensor]:
        eps = self.unet(x, t, **told)[0]
        x0 = (x - (1 - self.alpha_bar) ** 0.5 * eps) / self.alpha_bar**0.5
        return (self.alpha_bar**0.5 * eps - (1 - self.alpha_bar) ** 0.5 * x0,)


def test_one_call_tells_a_network_of_noise_from_one_of_velocity() -> None:
    unet = UNet2DConditionModel.from_pretrained(REGISTERED["pocket"], subfolder="unet")
    assert predicts_noise(unet, side=16)
    assert not predicts_noise(Velocity(unet, alpha_bar=0.0047), side=16)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("whole")
    return original_layout.write(build("sd15-tiny", to / "folders"), to)


def changed(whole: Path, to: Path, keep: str = "", rename: tuple[str, str] = ("", "")) -> Path:
    """A copy with the tensors whose names hold `keep`, under other names."""
    path = to / "other.safetensors"
    found = {k.replace(*rename, 1) if rename[0] else k: x for k, x in load_file(whole).items() if keep in k}
    save_file(found, path)
    return path


@pytest.mark.parametrize(
    ("keep", "rename", "says"),
    [
        ("first_stage_model", ("", ""), "holds a VAE only"),
        ("first_stage_model", ("first_stage_model.", ""), "holds a VAE only"),
        ("diffusion_model", ("", ""), "has no text encoder"),
        ("diffusion_model", ("model.diffusion_model.", ""), "holds a U-Net only"),
        ("attn2.to_k", ("weight", "lora_down.weight"), "is a LoRA, not a model"),
        ("", ("model.diffusion_model.", "control_model."), "is a ControlNet, not a model"),
        ("", ("model.diffusion_model.", "model.diffusion_model.double_blocks."), "is of Flux"),
        ("text_model", ("cond_stage_model.transformer.", ""), "is one part of a model in diffusers layout"),
        ("position_embedding", ("cond_stage", "some_thing"), "holds no model that is known here"),
        ("", ("first_stage_model.", "edm_mean."), "was taught with EDM's schedule"),
        ("", ("time_embed.0.bias", "time_embed.cond_proj.weight"), "is told the guidance scale"),
        ("", ("", ""), "has other sizes"),
    ],
)
def test_what_is_no_whole_model_says_what_it_is(
    keep: str, rename: tuple[str, str], says: str, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(Refusal, match=says):
        open_engine(changed(whole, tmp_path, keep, rename), *CPU)


@pytest.mark.parametrize("part", ["middle_block.1", "text_model.final_layer_norm"])
def test_a_file_that_lacks_some_weights_says_so(part: str, whole: Path, tmp_path: Path) -> None:
    found = {k: x for k, x in load_file(whole).items() if part not in k}
    save_file(found, tmp_path / "gap.safetensors")
    shutil.copytree(whole.with_suffix(""), tmp_path / "gap")
    with pytest.raises(Refusal, match="gap.safetensors is no whole model: "):
        open_engine(tmp_path / "gap.safetensors", *CPU)


def test_a_file_that_is_cut_or_pickled_or_something_else_says_so(whole: Path, tmp_path: Path) -> None:
    cut, text, ckpt = (tmp_path / name for name in ("cut.safetensors", "text.safetensors", "old.ckpt"))
    cut.write_bytes(whole.read_bytes()[:-1000])
    text.write_text("not a model" * 100)
    ckpt.write_bytes(b"\x80\x02}q\x00.")
    for path, says in ((cut, "is not a whole"), (text, "is not a whole"), (ckpt, "is a pickled file")):
        with pytest.raises(Refusal, match=says):
            open_engine(path, *CPU)


def test_its_layers_kept_in_fp8_are_computed_in_the_asked_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """diffusers reads a single file in fp32, of which the norms would else be left."""
    monkeypatch.setattr(plans, "plan", lambda *_: Plan(storage=FP8))
    path = original_layout.write(build("sd15-tiny", tmp_path / "folders"), tmp_path)
    engine = open_engine(path, torch.device("cpu"), torch.bfloat16, "torch")
    engine.close()
    assert {x.dtype for x in engine.model.network.parameters()} == {torch.float8_e4m3fn, torch.bfloat16}
