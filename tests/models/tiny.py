"""Stable Diffusion's kinds as small models with random weights, in diffusers' layout: each family's own settings."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from playground.models import REGISTERED

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
KINDS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    # Stable Diffusion 1.x as it ships: PNDM, ε
    "sd15-tiny": (PNDMScheduler, {"skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1}),
    # 2.1: velocity, 768-pixel latents in proportion (here 96 pixels), linear projections
    "sd21-tiny": (DDIMScheduler, {"prediction_type": "v_prediction", "set_alpha_to_one": False, "steps_offset": 1}),
    # Lin et al. 2023: the last step is pure noise, steps trail, guidance is rescaled
    "zero-snr-tiny": (
        DDIMScheduler,
        {
            "prediction_type": "v_prediction",
            "rescale_betas_zero_snr": True,
            "timestep_spacing": "trailing",
            "set_alpha_to_one": True,
            "steps_offset": 1,
        },
    ),
    # Turbo: one to four trailing Euler steps without guidance
    "turbo-tiny": (EulerDiscreteScheduler, {"timestep_spacing": "trailing", "steps_offset": 1}),
    # nothing is as usual: VAE scale 4, another width of the text, 8 latent channels
    "odd-tiny": (DDIMScheduler, {"set_alpha_to_one": False, "steps_offset": 1}),
}
SIDES = {"sd21-tiny": 96}  # pixels; the others 64


@cache
def place() -> Path:
    """Where each small model is built once for this process, whose end removes it."""
    kept = tempfile.TemporaryDirectory(prefix="models-")
    atexit.register(kept.cleanup)
    return Path(kept.name)


def copied(model: Path, folder: Path) -> Path:
    """-> its copy in `folder`, which whoever asked for it may change"""
    return shutil.copytree(model, folder / model.name, dirs_exist_ok=True)


def build(kind: str, folder: Path) -> Path:
    """One of KINDS -> the folder that holds it, named after it."""
    return copied(_built(kind), folder)


@cache
def _built(kind: str) -> Path:
    torch.manual_seed(sorted(KINDS).index(kind))
    odd = kind == "odd-tiny"
    width, channels, levels = (48, 8, 3) if odd else (32, 4, 4)
    scale = 2 ** (levels - 1)
    tokenizer = CLIPTokenizer.from_pretrained(REGISTERED["pocket"], subfolder="tokenizer")
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=SIDES.get(kind, 64) // scale, in_channels=channels, out_channels=channels,
        block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, cross_attention_dim=width,
        attention_head_dim=4, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), use_linear_projection=kind == "sd21-tiny",
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8,) * levels, layers_per_block=1, latent_channels=channels, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * levels, up_block_types=("UpDecoderBlock2D",) * levels,
        sample_size=64, scaling_factor=0.5 if odd else 0.18215,
    )  # fmt: skip
    scheduler, settings = KINDS[kind]
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=CLIPTextModel(text), tokenizer=tokenizer, unet=unet,
        scheduler=scheduler(**BETAS, **settings), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
    folder = place() / kind
    pipeline.save_pretrained(folder)
    return folder
