"""Families whose words are encoded by a language model, as small models with random weights, in diffusers' layout."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    Lumina2Pipeline,
    Lumina2Transformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SanaPipeline,
    SanaTransformer2DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    Gemma2Config,
    Gemma2Model,
    GemmaTokenizer,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
)

WIDTH = 32  # of every encoded word
MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def gemma() -> tuple[GemmaTokenizer, Gemma2Model]:
    """Of Sana's instruction its tokenizer learned longer pieces: letter by letter that would be 1,400 tokens."""
    vocabulary = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁"]
    vocabulary += [f"<0x{byte:02X}>" for byte in range(256)] + list("abcdefghijklmnopqrstuvwxyz,.:'-")
    learned, merges = inspect.signature(SanaPipeline.__call__).parameters["complex_human_instruction"].default, []
    for word in dict.fromkeys(" ".join(learned).split()):
        for end in range(2, len(word) + 1):
            merges.append((word[: end - 1], word[end - 1]))
            vocabulary.append(word[:end])
    vocabulary += [letter for letter in dict.fromkeys("".join(learned)) if letter != " "]
    vocabulary = list(dict.fromkeys(vocabulary))
    tokenizer = GemmaTokenizer(
        vocab={piece: i for i, piece in enumerate(vocabulary)}, merges=list(dict.fromkeys(merges))
    )
    config = Gemma2Config(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, max_position_embeddings=4096, pad_token_id=0,
        eos_token_id=1, bos_token_id=2,
    )  # fmt: skip
    return tokenizer, Gemma2Model(config)


def qwen_tokenizer() -> Qwen2Tokenizer:
    vocabulary = {letter: i for i, letter in enumerate([*sorted(ByteLevel.alphabet()), *MARKS])}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": MARKS[1:]})
    tokenizer.chat_template = CHAT
    return tokenizer


def qwen3(head: bool, layers: int) -> tuple[Qwen2Tokenizer, Any]:
    tokenizer = qwen_tokenizer()
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, max_position_embeddings=4096,
    )  # fmt: skip
    return tokenizer, (Qwen3ForCausalLM if head else Qwen3Model)(config)


def vae(channels: int) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8,) * 4, layers_per_block=1, latent_channels=channels, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, sample_size=64,
        scaling_factor=0.3611, shift_factor=0.1159,
    )  # fmt: skip


def sana() -> DiffusionPipeline:
    tokenizer, text_encoder = gemma()
    transformer = SanaTransformer2DModel(
        in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=8,
        num_cross_attention_heads=2, cross_attention_head_dim=8, cross_attention_dim=16, caption_channels=WIDTH,
        sample_size=8, patch_size=1, timestep_scale=1.0,
    )  # fmt: skip
    blocks = {f"{side}_{what}": value for side in ("encoder", "decoder") for what, value in {
        "block_types": ("ResBlock",) * 3 + ("EfficientViTBlock",), "block_out_channels": (8,) * 4,
        "qkv_multiscales": ((),) * 3 + ((5,),), "layers_per_block": (1,) * 4,
    }.items()}  # fmt: skip
    autoencoder = AutoencoderDC(
        in_channels=3, latent_channels=4, attention_head_dim=2, **blocks, scaling_factor=0.41407,
    )  # fmt: skip
    scheduler = DPMSolverMultistepScheduler(use_flow_sigmas=True, flow_shift=3.0, prediction_type="flow_prediction")
    return SanaPipeline(tokenizer, text_encoder, autoencoder, transformer, scheduler)


def lumina2() -> DiffusionPipeline:
    tokenizer, text_encoder = gemma()
    transformer = Lumina2Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, hidden_size=24, num_layers=2, num_refiner_layers=1,
        num_attention_heads=3, num_kv_heads=1, multiple_of=2, axes_dim_rope=(4, 2, 2), axes_lens=(512, 64, 64),
        cap_feat_dim=WIDTH,
    )  # fmt: skip
    return Lumina2Pipeline(transformer, FlowMatchEulerDiscreteScheduler(shift=6.0), vae(4), text_encoder, tokenizer)


def qwen_image() -> DiffusionPipeline:
    tokenizer = qwen_tokenizer()
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096,
            "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1e6},
        },
        vision_config={
            "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": WIDTH,
        },
    )  # fmt: skip
    transformer = QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=2, attention_head_dim=16, num_attention_heads=3,
        joint_attention_dim=WIDTH, axes_dims_rope=(8, 4, 4),
    )  # fmt: skip
    autoencoder = AutoencoderKLQwenImage(
        base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
        latents_mean=[-0.7, 0.1, 0.4, 0.9], latents_std=[2.8, 1.4, 2.3, 1.2],
    )  # fmt: skip
    scheduler = FlowMatchEulerDiscreteScheduler(
        shift=1.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=0.9, base_image_seq_len=256,
        max_image_seq_len=8192, shift_terminal=0.02, time_shift_type="exponential",
    )  # fmt: skip
    return QwenImagePipeline(scheduler, autoencoder, Qwen2_5_VLForConditionalGeneration(config), tokenizer, transformer)


def z_image(shift: float) -> DiffusionPipeline:
    tokenizer, text_encoder = qwen3(head=False, layers=2)
    transformer = ZImageTransformer2DModel(
        in_channels=4, dim=32, n_layers=2, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=WIDTH,
        axes_dims=[8, 4, 4], axes_lens=[1024, 64, 64],
    )  # fmt: skip
    torch.nn.init.normal_(transformer.x_pad_token)
    torch.nn.init.normal_(transformer.cap_pad_token)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    return ZImagePipeline(scheduler, vae(4), text_encoder, tokenizer, transformer)


def flux2_klein(distilled: bool) -> DiffusionPipeline:
    tokenizer, text_encoder = qwen3(head=True, layers=27)  # the pipeline takes the states of layers 9, 18 and 27
    autoencoder = AutoencoderKLFlux2(
        block_out_channels=(8,) * 4, layers_per_block=1, latent_channels=4, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, sample_size=64,
    )  # fmt: skip
    autoencoder.bn.running_mean.normal_()
    autoencoder.bn.running_var.uniform_(0.5, 2.0)
    transformer = Flux2Transformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=3 * WIDTH, timestep_guidance_channels=16, axes_dims_rope=(4,) * 4, guidance_embeds=False,
    )  # fmt: skip
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    return Flux2KleinPipeline(scheduler, autoencoder, text_encoder, tokenizer, transformer, is_distilled=distilled)


FLOW_FAMILIES: dict[str, Callable[[], DiffusionPipeline]] = {
    "sana-tiny": sana,
    "qwen-image-tiny": qwen_image,
    "z-image-tiny": lambda: z_image(shift=6.0),
    "z-image-turbo-tiny": lambda: z_image(shift=3.0),
    "lumina2-tiny": lumina2,
    "flux2-klein-tiny": lambda: flux2_klein(distilled=True),
    "flux2-klein-base-tiny": lambda: flux2_klein(distilled=False),
}
