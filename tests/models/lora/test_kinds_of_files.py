"""LoRA files as trainers write them, for every family: the picture is that of diffusers with peft."""

import copy
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from peft import LoraConfig, get_peft_model, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from playground import open_engine
from playground.command.checks import check_loras
from playground.engine import Done
from playground.export.script import to_script
from playground.models.lora.adapter import CONFIG, part_of
from playground.refusal import Refusal
from playground.sources.lora_files import ADAPTER
from tests.models.families.test_equal import plain
from tests.models.tiny import build
from tests.models.tiny_families import build_family
from tests.reference import TOLERANCE, largest_difference

CPU = torch.device("cpu")
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
CLIP = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1"]
DENOISER = {"StableDiffusionPipeline": "unet", "StableDiffusionXLPipeline": "unet"}
TOGETHER = ["all_x_embedder.2-1", "cap_embedder.1"]  # which Z-Image runs on the tokens of all rows in one sequence


def trained(module: nn.Module, targets: list[str], seed: int) -> dict[str, torch.Tensor]:
    """Random matrices as peft makes them, by its own names."""
    torch.manual_seed(seed)
    copied = inject_adapter_in_model(LoraConfig(r=4, lora_alpha=4, target_modules=targets), copy.deepcopy(module))
    matrices = {key: value.detach() for key, value in copied.named_parameters() if ".lora_" in key}
    for key, value in matrices.items():
        if "lora_B" in key:
            nn.init.normal_(value, std=0.5)
    return {key.replace(".default", ""): value for key, value in matrices.items()}


def use(pipeline: DiffusionPipeline, file: Path, weight: float) -> None:
    """By diffusers and peft; PixArt's pipeline has no way of its own, so there by peft alone."""
    if hasattr(pipeline, "load_lora_weights"):
        if "style" not in sum(pipeline.get_list_adapters().values(), []):
            pipeline.load_lora_weights(file.parent, weight_name=file.name, adapter_name="style")
        pipeline.set_adapters(["style"], [weight])
        return
    config = LoraConfig(r=4, lora_alpha=4, target_modules=ATTENTION)
    if not any(isinstance(module, LoraLayer) for module in pipeline.transformer.modules()):
        inject_adapter_in_model(config, pipeline.transformer)
    given = {
        k.removeprefix("transformer.").replace(".weight", ".default.weight"): v for k, v in load_file(file).items()
    }
    assert not pipeline.transformer.load_state_dict(given, strict=False).unexpected_keys
    for module in pipeline.transformer.modules():
        if isinstance(module, LoraLayer):
            module.set_scale("default", weight)


def parts(pipeline: DiffusionPipeline, clips: bool) -> dict[str, dict[str, torch.Tensor]]:
    """A LoRA of the denoiser, and of the CLIP encoders."""
    denoiser = DENOISER.get(type(pipeline).__name__, "transformer")
    targets = ATTENTION + TOGETHER if type(pipeline).__name__ == "ZImagePipeline" else ATTENTION
    found = {denoiser: trained(getattr(pipeline, denoiser), targets, 1)}
    for i, part in enumerate(("text_encoder", "text_encoder_2") if clips else ()):
        encoder = getattr(pipeline, part, None)
        if type(encoder).__name__.startswith("CLIP"):
            found[part] = trained(encoder, CLIP, 2 + i)
    return found


def as_diffusers(found: dict[str, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {f"{part}.{key}": value for part, tensors in found.items() for key, value in tensors.items()}


def as_kohya(found: dict[str, dict[str, torch.Tensor]], alpha: float) -> dict[str, torch.Tensor]:
    """The names of kohya's trainer, which are the modules' paths with underscores, and an alpha for each."""
    first = "te1" if "text_encoder_2" in found else "te"
    heads = {"unet": "unet", "text_encoder": f"{first}_text_model", "text_encoder_2": "te2_text_model"}
    tensors: dict[str, torch.Tensor] = {}
    for part, own in found.items():
        for key, value in own.items():
            path, matrix = key.removesuffix(".weight").rsplit(".", 1)
            name = f"lora_{heads[part]}_{path.removeprefix('text_model.').replace('.', '_')}"
            tensors[f"{name}.{'lora_down' if matrix == 'lora_A' else 'lora_up'}.weight"] = value
            tensors[f"{name}.alpha"] = torch.tensor(alpha)
    return tensors


def as_kohya_of_flux(found: dict[str, dict[str, torch.Tensor]], alpha: float) -> dict[str, torch.Tensor]:
    """The same, but of Flux's own layout, where one layer stands for three; its CLIP encoder as for any other."""
    own, tensors = found["transformer"], as_kohya({"text_encoder": found["text_encoder"]}, alpha)
    tensors = {key.replace("lora_te_", "lora_te1_"): value for key, value in tensors.items()}
    path = "transformer_blocks.0.attn.to_"
    ups = torch.cat([own[f"{path}{letter}.lora_B.weight"] for letter in "qkv"])
    layers = {
        "img_attn_qkv": (own[f"{path}q.lora_A.weight"], ups),
        "img_attn_proj": (own[f"{path}out.0.lora_A.weight"], own[f"{path}out.0.lora_B.weight"]),
    }
    for name, (down, up) in layers.items():
        head = f"lora_unet_double_blocks_0_{name}"
        tensors |= {
            f"{head}.lora_down.weight": down,
            f"{head}.lora_up.weight": up,
            f"{head}.alpha": torch.tensor(alpha),
        }
    return tensors


def folder_of(kind: str, folder: Path) -> Path:
    return build(kind, folder) if kind == "sd15-tiny" else build_family(kind, folder)


CASES = [
    ("sd15-tiny", "kohya", True),
    ("sd15-tiny", "diffusers", True),
    ("sdxl-tiny", "kohya", True),
    ("sd3-tiny", "diffusers", True),
    ("flux-dev-tiny", "diffusers", False),
    ("flux-dev-tiny", "kohya", True),
    ("pixart-sigma-tiny", "diffusers", False),
    ("sana-tiny", "diffusers", False),
    ("qwen-image-tiny", "diffusers", False),
    ("z-image-tiny", "diffusers", False),
    ("lumina2-tiny", "diffusers", False),
    ("flux2-klein-base-tiny", "diffusers", False),
]


@pytest.mark.parametrize(("kind", "names", "clips"), CASES)
def test_a_file_draws_what_diffusers_draws_with_it(kind: str, names: str, clips: bool, tmp_path: Path) -> None:
    folder = folder_of(kind, tmp_path)
    pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    found = parts(pipeline, clips)
    assert len(found) == (1 if not clips else 2 if kind in ("sd15-tiny", "flux-dev-tiny") else 3)
    by_kohya = as_kohya_of_flux if kind == "flux-dev-tiny" else as_kohya
    tensors = by_kohya(found, alpha=6.0) if names == "kohya" else as_diffusers(found)
    file = folder / "loras" / "style.safetensors"
    file.parent.mkdir()
    save_file({key: value.contiguous() for key, value in tensors.items()}, file)

    engine = open_engine(folder, CPU, torch.float32, "torch")
    base = engine.facts.usual.replace(prompt="red apple", num_inference_steps=3, seed=3, width=64, height=64)
    longer = base.replace(prompt="owl, red apple, cat, " * 3)  # than Z-Image fills up to
    cells = [base, base.replace(loras={"style": 1.0}), longer.replace(loras={"style": 0.4}, seed=4)]
    among = {e.cell: e.result for e in engine.run(cells) if isinstance(e, Done)}
    assert len(among) == 3
    without = plain(pipeline, engine.facts.schedule, base)
    assert largest_difference(among[0], without) <= TOLERANCE
    for i, recipe in list(enumerate(cells))[1:]:
        weight = dict(recipe.loras)["style"]
        use(pipeline, file, weight)
        expected = plain(pipeline, engine.facts.schedule, recipe)
        assert largest_difference(among[i], expected) <= TOLERANCE, weight
        assert largest_difference(engine.render(recipe), expected) <= TOLERANCE, weight
        if weight == 1:
            assert largest_difference(among[i], without) > 3 * TOLERANCE
    engine.close()


@pytest.mark.parametrize("kind", ["sd15-tiny", "flux-dev-tiny"])
def test_an_adapter_saved_by_peft_itself_draws_what_the_network_draws_that_peft_wrapped(
    kind: str, tmp_path: Path
) -> None:
    """With the scaling that the file beside it says; alone in a folder without one, its alpha is its rank."""
    folder = folder_of(kind, tmp_path)
    pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    network = getattr(pipeline, DENOISER.get(type(pipeline).__name__, "transformer"))
    config = LoraConfig(
        r=4, lora_alpha=7, target_modules=ATTENTION, rank_pattern={"to_v": 2}, alpha_pattern={"to_k": 3}
    )
    torch.manual_seed(1)
    wrapped = get_peft_model(network, config)  # which puts its layers into the network itself
    for key, value in wrapped.named_parameters():
        if "lora_B" in key:
            nn.init.normal_(value, std=0.5)
    loras = folder / "loras"
    wrapped.save_pretrained(loras / "style")
    assert {path.name for path in (loras / "style").iterdir()} >= {ADAPTER, CONFIG}
    shutil.copy(loras / "style" / ADAPTER, loras / "alone.safetensors")
    assert check_loras([loras]) == [loras]

    engine = open_engine(folder, CPU, torch.float32, "torch")
    assert tuple(engine.facts.loras) == ("alone", "style")
    base = engine.facts.usual.replace(prompt="red apple", num_inference_steps=3, seed=3, width=64, height=64)
    cells = [base, *(base.replace(loras=loras) for loras in ({"style": 1}, {"alone": 1}, {"style": 0.6, "alone": -1}))]
    among = {e.cell: e.result for e in engine.run(cells) if isinstance(e, Done)}
    layers = [module for module in network.modules() if isinstance(module, LoraLayer)]
    own = [layer.scaling["default"] for layer in layers]
    assert len(layers) > 4 and len(set(own)) > 1 and 1.0 not in own
    for i, (style, alone) in enumerate([(0, 0), (1, 0), (0, 1), (0.6, -1)]):  # of one pair of matrices the sum is one
        for layer, scaling in zip(layers, own, strict=True):
            layer.scaling["default"] = style * scaling + alone
        assert largest_difference(among[i], plain(pipeline, engine.facts.schedule, base)) <= TOLERANCE, cells[i].loras
    apart = [np.abs(np.asarray(among[i].image).astype(int) - among[1].image).max() for i in (0, 2, 3)]
    assert min(apart) > 3 * TOLERANCE
    with pytest.raises(Refusal, match="There is no LoRA named '../loras/style'"):
        engine.render(base.replace(loras={"../loras/style": 1}))
    engine.close()


def saved_by_peft(part: nn.Module, folder: Path, seed: int, **config: object) -> list[LoraLayer]:
    """A LoRA with random matrices, put into the part and saved there -> its layers."""
    torch.manual_seed(seed)
    wrapped = get_peft_model(part, LoraConfig(**config))
    for key, value in wrapped.named_parameters():
        if "lora_B" in key:
            nn.init.normal_(value, std=0.5)
    wrapped.save_pretrained(folder)
    return [module for module in part.modules() if isinstance(module, LoraLayer)]


def test_adapters_of_a_text_encoder_and_a_program_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the words, of the network, without what says their scaling, and beside a file of diffusers."""
    folder = build("sd15-tiny", tmp_path)
    pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    loras = folder / "loras"
    loras.mkdir()
    save_file(as_diffusers({"unet": trained(pipeline.unet, ["to_q"], 5)}), loras / "file.safetensors")
    words = saved_by_peft(pipeline.text_encoder, loras / "words", 1, r=4, lora_alpha=6, target_modules=CLIP)
    ranks = {"rank_pattern": {"to_v": 2}, "alpha_pattern": {"to_k": 3}}
    saved_by_peft(pipeline.unet, loras / "style", 2, r=4, lora_alpha=7, target_modules=ATTENTION, **ranks)
    shutil.copy(loras / "style" / ADAPTER, loras / "alone.safetensors")

    engine = open_engine(folder, CPU, torch.float32, "torch")
    assert engine.facts.adapters["words"] == ("text_encoder", f"words/{ADAPTER}")
    assert engine.facts.adapters["alone"] == ("unet", "alone.safetensors") and "file" not in engine.facts.adapters
    base = engine.facts.usual.replace(prompt="red apple", num_inference_steps=3, seed=3, width=64, height=64)
    recipe = base.replace(loras={"words": 0.7, "style": 1.0})
    for layer in words:
        layer.set_scale("default", 0.7)
    drawn = plain(pipeline, engine.facts.schedule, recipe)
    assert largest_difference(engine.render(recipe), drawn) <= TOLERANCE
    assert largest_difference(engine.render(recipe.replace(loras={"style": 1.0})), drawn) > 3 * TOLERANCE

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["picture.py", str(folder)])
    mixed = {"words": 0.7, "style": 0.6, "alone": -0.3, "file": 0.5}
    for recipe in (base.replace(loras=mixed), base.replace(loras={"words": 1.0})):
        Path("picture.py").write_text(to_script(recipe, engine.facts), encoding="utf-8")
        runpy.run_path("picture.py", run_name="__main__")
        drawn = np.asarray(Image.open("picture.png")).astype(int)
        assert largest_difference(engine.render(recipe), drawn) <= TOLERANCE, recipe.loras
    engine.close()


def test_an_adapter_is_of_the_encoder_whose_sizes_it_has() -> None:
    small, large = (
        CLIPTextModel(CLIPTextConfig(vocab_size=8, hidden_size=n, intermediate_size=n, num_attention_heads=2))
        for n in (4, 8)
    )
    parts = {"unet": nn.Linear(1, 1), "text_encoder": small, "text_encoder_2": large}
    path = "base_model.model.text_model.encoder.layers.0.self_attn.q_proj"

    def of(wide: int) -> dict[str, tuple[int, ...]]:
        return {f"{path}.lora_A.weight": (2, wide), f"{path}.lora_B.weight": (wide, 2)}

    assert (part_of(of(4), parts), part_of(of(8), parts)) == ("text_encoder", "text_encoder_2")
    assert part_of(of(6), parts) == "text_encoder"  # which then says that its sizes are others
    with pytest.raises(ValueError, match="fit text_encoder and text_encoder_2 alike"):
        part_of(of(4), parts | {"text_encoder_2": small})


def test_several_files_are_added_as_diffusers_adds_them(tmp_path: Path) -> None:
    """Of two kinds, with weights of their own, beside a cell with one of them."""
    folder = folder_of("flux-dev-tiny", tmp_path)
    pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    (folder / "loras").mkdir()
    one = as_kohya_of_flux(parts(pipeline, clips=True), 6.0)
    save_file({key: value.contiguous() for key, value in one.items()}, folder / "loras" / "one.safetensors")
    two = {"transformer": trained(pipeline.transformer, ["to_q", "proj_mlp", "ff.net.0.proj"], 9)}
    save_file(as_diffusers(two), folder / "loras" / "two.safetensors")
    engine = open_engine(folder, CPU, torch.float32, "torch")
    base = engine.facts.usual.replace(prompt="red apple", num_inference_steps=3, seed=3, width=64, height=64)
    cells = [base.replace(loras=loras) for loras in ({"one": 0.7, "two": -0.5}, {"two": 1.0}, {"one": 0.3, "two": 0.8})]
    among = {e.cell: e.result for e in engine.run(cells) if isinstance(e, Done)}
    for name in ("one", "two"):
        pipeline.load_lora_weights(folder / "loras", weight_name=f"{name}.safetensors", adapter_name=name)
    pictures = []
    for i, recipe in enumerate(cells):
        pipeline.set_adapters([name for name, _ in recipe.loras], [weight for _, weight in recipe.loras])
        pictures.append(plain(pipeline, engine.facts.schedule, recipe))
        assert largest_difference(among[i], pictures[-1]) <= TOLERANCE, recipe.loras
    assert min(np.abs(pictures[0] - other).max() for other in pictures[1:]) > 3 * TOLERANCE
    engine.close()


def test_words_are_encoded_under_the_loras_of_their_row(tmp_path: Path) -> None:
    """And without them for the cell beside it; a LoRA of the denoiser alone leaves the words as they are."""
    folder = build("sd15-tiny", tmp_path)
    pipeline = DiffusionPipeline.from_pretrained(folder)
    found = parts(pipeline, clips=True)
    (folder / "loras").mkdir()
    for name, own in (("words", ["text_encoder"]), ("picture", ["unet"])):
        save_file(as_kohya({part: found[part] for part in own}, 4.0), folder / "loras" / f"{name}.safetensors")
    engine = open_engine(folder, CPU, torch.float32, "torch")

    def encoded(**loras: float) -> torch.Tensor:
        recipe = engine.facts.usual.replace(prompt="red apple", loras=loras)
        return next(iter(engine.model.condition(engine.facts.text("red apple", recipe)).values()))

    plainly = encoded()
    assert torch.equal(encoded(picture=1.0), plainly) and torch.equal(encoded(words=0.0), plainly)
    assert not torch.allclose(encoded(words=1.0), plainly, atol=1e-2)
    assert torch.equal(encoded(words=1.0), encoded(words=1.0, picture=0.5))
    assert torch.equal(encoded(), plainly)
    engine.close()
