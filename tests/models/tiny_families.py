"""Families besides Stable Diffusion as small models with random weights, in diffusers' layout."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtAlphaPipeline,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from playground.models import REGISTERED
from tests.models.tiny import BETAS, copied, place
from tests.models.tiny_flow_families import FLOW_FAMILIES

WIDTH = 32  # of every encoded word, and of what is pooled
WORDS = ["▁red", "▁apple", "▁cat", "▁blue", "▁background", "▁owl", "▁", ",", *"abcdefghijklmnopqrstuvwxyz"]


def clip(pooled: bool = True) -> tuple[CLIPTokenizer, CLIPTextModel]:
    tokenizer = CLIPTokenizer.from_pretrained(REGISTERED["pocket"], subfolder="tokenizer")
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=3,
        num_attention_heads=4, max_position_embeddings=tokenizer.model_max_length, projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return tokenizer, (CLIPTextModelWithProjection if pooled else CLIPTextModel)(config)


def t5() -> tuple[T5Tokenizer, T5EncoderModel]:
    pieces = ["<pad>", "</s>", "<unk>", *WORDS]
    tokenizer = T5Tokenizer(vocab=[(piece, -float(i)) for i, piece in enumerate(pieces)], extra_ids=0)
    tokenizer.model_max_length = 512
    config = T5Config(
        vocab_size=len(tokenizer), d_model=WIDTH, d_kv=8, d_ff=2 * WIDTH, num_layers=2, num_heads=4, dropout_rate=0.0,
    )  # fmt: skip
    return tokenizer, T5EncoderModel(config)


def vae(channels: int, **config: Any) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8,) * 4, layers_per_block=1, latent_channels=channels, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, sample_size=64,
        **config,
    )  # fmt: skip


def sdxl(scheduler: Any = None) -> DiffusionPipeline:
    (tokenizer, one), (tokenizer_2, two) = clip(pooled=False), clip()
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
        cross_attention_dim=2 * WIDTH, attention_head_dim=(2, 4), transformer_layers_per_block=(1, 2),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
    )  # fmt: skip
    return StableDiffusionXLPipeline(
        vae=vae(4, scaling_factor=0.13025), text_encoder=one, text_encoder_2=two, tokenizer=tokenizer,
        tokenizer_2=tokenizer_2, unet=unet, scheduler=scheduler or EulerDiscreteScheduler(**BETAS, steps_offset=1),
        add_watermarker=False,
    )  # fmt: skip


def sdxl_turbo() -> DiffusionPipeline:
    return sdxl(EulerDiscreteScheduler(**BETAS, steps_offset=1, timestep_spacing="trailing"))


def sd3(**schedule: Any) -> DiffusionPipeline:
    (tokenizer, one), (tokenizer_2, two), (tokenizer_3, three) = clip(), clip(), t5()
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=4,
        joint_attention_dim=2 * WIDTH, caption_projection_dim=32, pooled_projection_dim=2 * WIDTH, out_channels=4,
        pos_embed_max_size=16,
    )  # fmt: skip
    three = T5EncoderModel(T5Config(**three.config.to_dict() | {"d_model": 2 * WIDTH}))
    return StableDiffusion3Pipeline(
        transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler(**{"shift": 3.0, **schedule}),
        vae=vae(4, scaling_factor=1.5305, shift_factor=0.0609), text_encoder=one, tokenizer=tokenizer,
        text_encoder_2=two, tokenizer_2=tokenizer_2, text_encoder_3=three, tokenizer_3=tokenizer_3,
    )  # fmt: skip


def flux(dev: bool, channels: int = 4) -> DiffusionPipeline:
    (tokenizer, one), (tokenizer_2, two) = clip(pooled=False), t5()
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=4 * channels, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, guidance_embeds=dev,
        axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0 if dev else 1.0, use_dynamic_shifting=dev)
    return FluxPipeline(
        scheduler=scheduler, vae=vae(channels, scaling_factor=0.3611, shift_factor=0.1159), text_encoder=one,
        tokenizer=tokenizer, text_encoder_2=two, tokenizer_2=tokenizer_2, transformer=transformer,
    )  # fmt: skip


def pixart(pipeline: type[DiffusionPipeline], side: int) -> DiffusionPipeline:
    tokenizer, text_encoder = t5()
    transformer = PixArtTransformer2DModel(
        sample_size=side, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=6, in_channels=4,
        out_channels=8, cross_attention_dim=48, caption_channels=WIDTH, norm_type="ada_norm_single",
        norm_num_groups=8, interpolation_scale=1,
    )  # fmt: skip
    scheduler = DPMSolverMultistepScheduler(num_train_timesteps=1000, beta_start=0.0001, beta_end=0.02)
    return pipeline(
        tokenizer=tokenizer, text_encoder=text_encoder, vae=vae(4), transformer=transformer, scheduler=scheduler
    )


FAMILIES: dict[str, Callable[[], DiffusionPipeline]] = {
    "sdxl-tiny": sdxl,
    "sdxl-turbo-tiny": sdxl_turbo,
    "sd3-tiny": sd3,
    "sd35-tiny": lambda: sd3(use_dynamic_shifting=True, base_shift=0.5, max_shift=1.16),
    "flux-dev-tiny": lambda: flux(dev=True),
    "flux-schnell-tiny": lambda: flux(dev=False),
    "pixart-alpha-tiny": lambda: pixart(PixArtAlphaPipeline, 128),
    "pixart-sigma-tiny": lambda: pixart(PixArtSigmaPipeline, 8),
    **FLOW_FAMILIES,
}


def build_family(kind: str, folder: Path) -> Path:
    """One of FAMILIES -> the folder that holds it, named after it."""
    return copied(_built(kind), folder)


@cache
def _built(kind: str) -> Path:
    torch.manual_seed(sorted(FAMILIES).index(kind))
    folder = place() / kind
    FAMILIES[kind]().save_pretrained(folder)
    return folder
