"""One LoRA file -> the changes it makes to the U-Net's modules (Hu et al. 2021, https://arxiv.org/abs/2106.09685)."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import convert_unet_state_dict_to_peft
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

METADATA_KEY = "lora_adapter_metadata"  # of the safetensors header, as diffusers writes it
KEY = re.compile(r"unet\.(?P<module>.+)\.(?P<part>lora_A\.weight|lora_B\.weight|alpha)")


@dataclass(frozen=True, eq=False)
class Change:
    """What a LoRA at weight 1 adds to one module's output: scaling · B(A x)."""

    down: Tensor  # A: (r, in) of a Linear, (r, in, k, k) of a Conv2d
    up: Tensor  # B: (out, r) or (out, r, 1, 1)
    scaling: float  # α / r


def read(path: Path, unet: nn.Module) -> dict[str, Change]:
    """A file in diffusers' format -> changes by module path, on the CPU in the file's own precision.

    Raises ValueError with the reason, as the end of a sentence, for a file that does not fit this U-Net.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get(METADATA_KEY) or "{}")
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError("it is not a whole safetensors file") from error
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in convert_unet_state_dict_to_peft(tensors).items():  # older names: .lora.down, .to_q_lora.down …
        match = KEY.fullmatch(key)
        if match is None:
            raise ValueError(f"it holds “{key[:60]}”, and only lora_A, lora_B and alpha of the U-Net are known here")
        parts.setdefault(match["module"], {})[match["part"]] = tensor
    if not parts:
        raise ValueError("it is empty")
    try:
        config = {k.removeprefix("unet."): v for k, v in metadata.items() if k.startswith("unet.")}
        modules = dict(unet.named_modules())
        return {name: _change(name, modules.get(name), found, config) for name, found in parts.items()}
    except (AttributeError, TypeError, RuntimeError, re.error) as error:
        raise ValueError("its alphas or its header are not what diffusers writes") from error


def _change(name: str, module: nn.Module | None, found: dict[str, Tensor], config: dict[str, Any]) -> Change:
    down, up = found.get("lora_A.weight"), found.get("lora_B.weight")
    if down is None or up is None:
        raise ValueError(f"it has only one of the two matrices for {name[:80]}")
    if not isinstance(module, nn.Linear | nn.Conv2d) or getattr(module, "groups", 1) != 1:
        raise ValueError(f"it changes {name[:80]}, which is no Linear or Conv2d layer of this model")
    weight = module.weight
    rank = down.shape[0] if down.ndim else 0
    fits = down.shape[1:] == weight.shape[1:] and up.shape == (weight.shape[0], rank, *[1] * (weight.ndim - 2))
    if rank < 1 or not fits:
        raise ValueError(f"its matrices for {name[:80]} have other sizes than this model's")
    if not (torch.isfinite(down.float()).all() and torch.isfinite(up.float()).all()):
        raise ValueError(f"its matrices for {name[:80]} hold values that are not finite")
    alpha = found["alpha"].item() if "alpha" in found else _alpha(name, rank, config)
    scaling = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    if not math.isfinite(scaling):
        raise ValueError(f"its alpha for {name[:80]} is not finite")
    return Change(down, up, scaling)


def _alpha(name: str, rank: int, config: dict[str, Any]) -> float:
    """α as peft finds it: of the first pattern that a module's path ends with, else the file's; r without metadata."""
    for pattern, alpha in (config.get("alpha_pattern") or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", name):
            return alpha
    return config.get("lora_alpha", rank)
