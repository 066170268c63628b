"""A model with two good LoRAs made by peft and one file cut short."""

import shutil
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict

from playground import open_engine
from playground.engine import LocalEngine
from playground.models import REGISTERED

CPU = torch.device("cpu")


def make_lora(folder: Path, name: str, seed: int, metadata: bool, **config: object) -> Path:
    """A LoRA with random matrices, made by peft and written by diffusers."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel.from_pretrained(REGISTERED["pocket"], subfolder="unet")
    unet.add_adapter(LoraConfig(**config))
    for key, parameter in unet.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(parameter, std=0.05)
    StableDiffusionPipeline.save_lora_weights(
        folder,
        unet_lora_layers=get_peft_model_state_dict(unet),
        unet_lora_adapter_metadata=unet.peft_config["default"].to_dict() if metadata else None,
        weight_name=f"{name}.safetensors",
    )
    return folder / f"{name}.safetensors"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with two good LoRAs and one file cut short."""
    folder = tmp_path_factory.mktemp("models") / "pocket"
    shutil.copytree(REGISTERED["pocket"], folder, ignore=shutil.ignore_patterns("loras"))
    loras = folder / "loras"
    attention = {"r": 4, "lora_alpha": 6, "rank_pattern": {"to_v": 2}, "alpha_pattern": {"attn2.to_v": 5}}
    make_lora(loras, "ink", 1, True, target_modules=["to_q", "to_k", "to_v", "to_out.0", "conv1"], **attention)
    others = [
        "to_k",
        "ff.net.0.proj",
        "proj_in",
        "time_emb_proj",
        "linear_1",
        "conv2",
        "conv_out",
        "downsamplers.0.conv",
    ]
    whole = make_lora(loras, "pixel.v2", 2, False, r=4, lora_alpha=9, target_modules=others)
    (loras / "cut.safetensors").write_bytes(whole.read_bytes()[:5000])
    return folder


@pytest.fixture(scope="session")
def lora_engine(folder: Path) -> LocalEngine:
    return open_engine(folder, CPU, torch.float32, "torch")
