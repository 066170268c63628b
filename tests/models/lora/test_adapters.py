"""LoRAs as peft itself saves them, for the denoiser and for text encoders: the picture is that of peft."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
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
from tests.models.lora.test_kinds_of_files import ATTENTION, CLIP, CPU, DENOISER, as_diffusers, folder_of, trained
from tests.models.tiny import build
from tests.reference import TOLERANCE, drawn_by_program, largest_difference


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
        assert largest_difference(among[i], plain(pipeline, base)) <= TOLERANCE, cells[i].loras
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
    drawn = plain(pipeline, recipe)
    assert largest_difference(engine.render(recipe), drawn) <= TOLERANCE
    assert largest_difference(engine.render(recipe.replace(loras={"style": 1.0})), drawn) > 3 * TOLERANCE

    monkeypatch.chdir(tmp_path)
    mixed = {"words": 0.7, "style": 0.6, "alone": -0.3, "file": 0.5}
    for elsewhere, recipe in ((False, base.replace(loras=mixed)), (True, base.replace(loras=mixed, seed=4))):
        drawn_here = engine.render(recipe)
        if elsewhere:  # as with --loras
            shutil.move(loras, tmp_path / "elsewhere")
        source = to_script(recipe, engine.facts)
        drawn = drawn_by_program(source, folder, *([tmp_path / "elsewhere"] if elsewhere else []))
        assert largest_difference(drawn_here, drawn) <= TOLERANCE, elsewhere
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
