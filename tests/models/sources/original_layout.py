"""A pipeline's weights under the names that Stable Diffusion was published with, as one file: the way back from what
diffusers does when it reads such a file. Written from the published layout, not from diffusers' table."""

import re
import shutil
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from safetensors.torch import save_file
from torch import Tensor

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
OPEN_CLIP_ENDS = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}


def unet(weights: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """`layers`: residual blocks per level on the way down; there is one more on the way up."""
    return {f"model.diffusion_model.{_of_unet(key, layers, weights)}": x for key, x in weights.items()}


def _of_unet(key: str, layers: int, weights: dict[str, Tensor]) -> str:
    for ours, theirs in UNET_ENDS.items():
        if key.startswith(f"{ours}."):
            return key.replace(ours, theirs, 1)
    if match := re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", key):
        part, i, rest = match.groups()
        return f"middle_block.{2 * int(i) if part == 'resnets' else 1}.{_inside(rest) if part == 'resnets' else rest}"
    way, level, part, i, rest = re.fullmatch(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.+)", key).groups()
    down, number, index = way == "down", int(level), int(i)
    place = 1 + number * (layers + 1) if down else number * (layers + 1)
    side = "input_blocks" if down else "output_blocks"
    if part == "resnets":
        return f"{side}.{place + index}.0.{_inside(rest)}"
    if part == "attentions":
        return f"{side}.{place + index}.1.{rest}"
    if down:
        return f"{side}.{place + layers}.0.op.{rest.removeprefix('conv.')}"
    looks = any(name.startswith(f"up_blocks.{level}.attentions") for name in weights)
    return f"{side}.{place + layers}.{2 if looks else 1}.{rest}"


def _inside(rest: str) -> str:
    name, _, end = rest.rpartition(".")
    return f"{RESNET[name]}.{end}"


def vae(weights: dict[str, Tensor], levels: int) -> dict[str, Tensor]:
    found = {}
    for key, x in weights.items():
        name = key.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
        if match := re.search(r"mid_block\.attentions\.0\.(.+)\.(weight|bias)", name):
            name = f"{name[: match.start()]}mid.attn_1.{VAE_ATTENTION[match[1]]}.{match[2]}"
            x = x[:, :, None, None] if x.ndim == 2 else x  # there they are convolutions of one pixel
        name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
        name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{levels - 1 - int(m[1])}.block", name)
        name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", name)
        found[f"first_stage_model.{name}"] = x
    return found


def clip(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}text_model.{key.removeprefix('text_model.')}": x for key, x in weights.items()}


def open_clip(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Three matrices of an attention are one there, and the projection is transposed."""
    bare = {key.removeprefix("text_model."): x for key, x in weights.items()}
    found = {f"{prefix}{theirs}": bare.pop(ours) for ours, theirs in OPEN_CLIP_ENDS.items()}
    if (projection := bare.pop("text_projection.weight", None)) is not None:
        found[f"{prefix}text_projection"] = projection.T.contiguous()
    for key in [key for key in bare if ".q_proj." in key]:
        three = [bare.pop(key.replace("q_proj", f"{one}_proj")) for one in "qkv"]
        name = re.sub(r"encoder\.layers\.(\d+)\.self_attn\.q_proj\.", r"transformer.resblocks.\1.attn.in_proj_", key)
        found[f"{prefix}{name}"] = torch.cat(three)
    for key, x in bare.items():
        layer, rest, end = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", key).groups()
        found[f"{prefix}transformer.resblocks.{layer}.{OPEN_CLIP[rest]}.{end}"] = x
    return found


def tensors(pipeline: DiffusionPipeline, open_clip_words: bool) -> dict[str, Tensor]:
    """`open_clip_words`: whether a single text encoder is written as 2.x has it, else as 1.x."""
    text = pipeline.text_encoder.state_dict()
    if hasattr(pipeline, "text_encoder_2"):
        found = clip(text, "conditioner.embedders.0.transformer.")
        found |= open_clip(pipeline.text_encoder_2.state_dict(), "conditioner.embedders.1.model.")
    elif open_clip_words:
        found = open_clip(text, "cond_stage_model.model.")
    else:
        found = clip(text, "cond_stage_model.transformer.")
    found |= unet(pipeline.unet.state_dict(), pipeline.unet.config.layers_per_block)
    found |= vae(pipeline.vae.state_dict(), len(pipeline.vae.config.block_out_channels))
    return {key: x.contiguous().clone() for key, x in found.items()}


def write(folder: Path, to: Path, open_clip_words: bool = False, **notes: str) -> Path:
    """A folder in diffusers layout -> TO/NAME.safetensors, and its settings in TO/NAME/ without any weights."""
    pipeline = DiffusionPipeline.from_pretrained(folder)
    shutil.copytree(
        folder, to / folder.name, ignore=shutil.ignore_patterns("*.safetensors*", "loras", "preview", "card")
    )
    path = to / f"{folder.name}.safetensors"
    save_file(tensors(pipeline, open_clip_words), path, metadata=notes)
    return path
