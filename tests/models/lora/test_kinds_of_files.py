"""LoRA files as trainers write them, for every family: the picture is that of diffusers with peft."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from torch import nn

from playground import open_engine
from playground.engine import Done
from tests.models.families.test_equal import plain
from tests.models.tiny import KINDS, build
from tests.models.tiny_families import build_family
from tests.reference import TOLERANCE, largest_difference

CPU = torch.device("cpu")
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
CLIP = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1"]
DENOISER = {"StableDiffusionPipeline": "unet", "StableDiffusionXLPipeline": "unet"}
BESIDES = {
    "ZImagePipeline": ["all_x_embedder.2-1", "cap_embedder.1"],  # run on the tokens of all rows in one sequence
    "Flux2KleinPipeline": ["proj_out"],  # without guidance its attention changes hardly a pixel
}


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
    targets = ATTENTION + BESIDES.get(type(pipeline).__name__, [])
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
    return build(kind, folder) if kind in KINDS else build_family(kind, folder)


CASES = [  # of which the README's table says which models take LoRAs
    ("sd15-tiny", "kohya", True),
    ("sd15-tiny", "diffusers", True),
    ("turbo-tiny", "diffusers", False),
    ("sdxl-tiny", "kohya", True),
    ("sdxl-turbo-tiny", "diffusers", False),
    ("sd3-tiny", "diffusers", True),
    ("sd35-tiny", "diffusers", False),
    ("flux-dev-tiny", "diffusers", False),
    ("flux-dev-tiny", "kohya", True),
    ("flux-schnell-tiny", "diffusers", False),
    ("pixart-alpha-tiny", "diffusers", False),
    ("pixart-sigma-tiny", "diffusers", False),
    ("sana-tiny", "diffusers", False),
    ("qwen-image-tiny", "diffusers", False),
    ("z-image-tiny", "diffusers", False),
    ("z-image-turbo-tiny", "diffusers", False),
    ("lumina2-tiny", "diffusers", False),
    ("flux2-klein-base-tiny", "diffusers", False),
    ("flux2-klein-tiny", "diffusers", False),
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
    without = plain(pipeline, base)
    assert largest_difference(among[0], without) <= TOLERANCE
    for i, recipe in list(enumerate(cells))[1:]:
        weight = dict(recipe.loras)["style"]
        use(pipeline, file, weight)
        expected = plain(pipeline, recipe)
        assert largest_difference(among[i], expected) <= TOLERANCE, weight
        assert largest_difference(engine.render(recipe), expected) <= TOLERANCE, weight
        if weight == 1:
            assert largest_difference(among[i], without) > 3 * TOLERANCE
    engine.close()


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
        pictures.append(plain(pipeline, recipe))
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
