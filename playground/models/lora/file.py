"""One LoRA file -> the changes it makes to a model's modules (Hu et al. 2021, https://arxiv.org/abs/2106.09685).

Read are the files that diffusers and kohya's trainer write, and those that peft itself saves, for the denoiser and for
text encoders. What a file calls its layers is translated by diffusers itself.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import (
    convert_state_dict_to_diffusers,
    convert_state_dict_to_peft,
    convert_unet_state_dict_to_peft,
)
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from playground.models.lora import adapter
from playground.sources.lora_files import is_pickled

METADATA_KEY = "lora_adapter_metadata"  # of the safetensors header, as diffusers writes it
PICKLED = "it is pickled, which can run code when it is read, and only safetensors files are read here"
NOWHERE = "it is a link that leads nowhere"
KEY = re.compile(r"(?P<part>\w+)\.(?P<module>.+)\.(?P<matrix>lora_A\.weight|lora_B\.weight|alpha)")
REPEATS = r"[*+{]"  # of a pattern; nested ones could take hours to match
KOHYA = re.compile(r"lora_(unet|te|te1|te2)_.+")
OTHERS = {  # of the kinds of file that change layers in another way
    "dora_scale": "DoRA",
    "lora_magnitude_vector": "DoRA",
    "hada_w1": "LoHa",
    "lokr_w1": "LoKr",
    "lora_mid": "Tucker's form of LoCon",
    "oft_blocks": "OFT",
}
Parts = Mapping[str, nn.Module]  # those that files name: "unet" or "transformer", "text_encoder", "text_encoder_2"


@dataclass(frozen=True, eq=False)
class Change:
    """What a LoRA at weight 1 adds to one module's output: scaling · B(A x)."""

    down: Tensor  # A: (r, in) of a Linear, (r, in, k, k) of a Conv2d
    up: Tensor  # B: (out, r) or (out, r, 1, 1)
    scaling: float  # α / r


Changes = dict[str, dict[str, Change]]  # by part and module path


def read(path: Path, parts: Parts, pipeline: type) -> Changes:
    """A file for a model that `pipeline` runs -> its changes, on the CPU in the file's own precision.

    Raises ValueError with the reason, as the end of a sentence, for a file that does not fit this model.
    """
    check_readable(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get(METADATA_KEY) or "{}")
            tensors = {key: _unpacked(file.get_tensor(key)) for key in file.keys()}
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise ValueError("it is not a whole safetensors file") from error
    for key in tensors:
        for mark, kind in OTHERS.items():
            if mark in key:
                raise ValueError(f"it is of the kind {kind}, and only plain LoRAs are added here")
    trained = adapter.part_of({key: tuple(tensor.shape) for key, tensor in tensors.items()}, parts)
    if trained is None:
        tensors = _translated(tensors, parts, pipeline)
    else:
        raw = adapter.unwrapped(tensors, parts[trained])
        metadata = {f"{trained}.{name}": value for name, value in adapter.scaling(path, raw).items()}
        tensors = {f"{trained}.{key}": tensor for key, tensor in raw.items()}
    found: dict[tuple[str, str], dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        match = KEY.fullmatch(key)
        if match is None or match["part"] not in parts:
            known = ", ".join(parts)
            raise ValueError(f"it holds “{key[:60]}”, and only lora_A, lora_B and alpha of {known} are known here")
        found.setdefault((match["part"], match["module"]), {})[match["matrix"]] = tensor
    if not found:
        raise ValueError("it is empty")
    changes: Changes = {part: {} for part, _ in found}
    modules = {part: dict(parts[part].named_modules()) for part in changes}
    try:
        for (part, module), matrices in found.items():
            own = {k.removeprefix(f"{part}."): v for k, v in metadata.items() if k.startswith(f"{part}.")}
            changes[part][module] = _change(module, modules[part].get(module), matrices, own)
    except (AttributeError, TypeError, RuntimeError, OverflowError, re.error) as error:
        raise ValueError("its alphas or its header are not what diffusers writes") from error
    return changes


def check_readable(path: Path) -> None:
    """Raises ValueError with the reason, as the end of a sentence, for a file that is not opened, or cannot be."""
    if is_pickled(path):
        raise ValueError(PICKLED)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError("its file cannot be read" if path.is_file() else NOWHERE) from error


def _unpacked(tensor: Tensor) -> Tensor:
    """fp8, in which nothing can be added, as fp16, which holds every number of it."""
    return tensor.half() if tensor.is_floating_point() and tensor.itemsize == 1 else tensor


def _translated(tensors: dict[str, Tensor], parts: Parts, pipeline: type) -> dict[str, Tensor]:
    """-> PART.MODULE.lora_A.weight and its like, whatever the file calls them."""
    unet = parts.get("unet")
    if unet is not None and tensors and all(KOHYA.fullmatch(key) for key in tensors):
        tensors = _scaled(tensors)
    told = {} if unet is None else {"unet_config": unet.config}
    try:
        if hasattr(pipeline, "lora_state_dict") and tensors:
            found = pipeline.lora_state_dict(dict(tensors), **told)  # type: ignore[attr-defined]
            tensors = found[0] if isinstance(found, tuple) else found
        texts = {key: tensor for key, tensor in tensors.items() if key.startswith("text_encoder")}
        rest = {key: tensor for key, tensor in tensors.items() if key not in texts}
        if not texts:
            return convert_unet_state_dict_to_peft(rest)
        texts = convert_state_dict_to_peft(convert_state_dict_to_diffusers(texts))
    except (ValueError, KeyError, IndexError, AttributeError, RuntimeError, AssertionError) as error:
        raise ValueError("its layers are named in a way that is not known here") from error
    return convert_unet_state_dict_to_peft(rest) | {_flat(key, parts): tensor for key, tensor in texts.items()}


def _scaled(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Kohya's tensors without their alphas, each B already times its α / r: so that no translation of names can give
    a layer the alpha of another."""
    kept = {key: tensor for key, tensor in tensors.items() if not key.endswith(".alpha")}
    for key, alpha in tensors.items():
        up = key.replace(".alpha", ".lora_up.weight")
        if key in kept or up not in kept:
            continue
        if alpha.numel() != 1:
            raise ValueError("its alphas are no single numbers")
        kept[up] = kept[up].float() * (alpha.float().item() / max(1, kept[up].shape[1] if kept[up].ndim > 1 else 1))
    return kept


def _flat(key: str, parts: Parts) -> str:
    part, _, path = key.partition(".")
    return f"{part}.{adapter.own_name(path, parts[part])}" if part in parts else key


def _change(name: str, module: nn.Module | None, found: dict[str, Tensor], config: dict[str, Any]) -> Change:
    down, up = found.get("lora_A.weight"), found.get("lora_B.weight")
    if down is None or up is None:
        raise ValueError(f"it has only one of the two matrices for {name[:80]}")
    if not isinstance(module, nn.Linear | nn.Conv2d) or getattr(module, "groups", 1) != 1:
        raise ValueError(f"it changes {name[:80]}, which is no Linear or Conv2d layer of this model")
    weight = module.weight
    rank = down.shape[0] if down.ndim else 0
    if isinstance(module, nn.Linear) and down.ndim == up.ndim == 4:  # of a 1 × 1 convolution that is a Linear here
        down, up = down.flatten(1), up.flatten(1)
    if isinstance(module, nn.Conv2d) and down.ndim == up.ndim == 2:  # and the other way round
        down, up = down[:, :, None, None], up[:, :, None, None]
    fits = down.shape[1:] == weight.shape[1:] and up.shape == (weight.shape[0], rank, *[1] * (weight.ndim - 2))
    if rank < 1 or not fits:
        raise ValueError(f"its matrices for {name[:80]} have other sizes than this model's")
    if not (down.is_floating_point() and up.is_floating_point()):
        raise ValueError(f"its matrices for {name[:80]} are whole numbers, and nothing says what they stand for")
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
        if len(re.findall(REPEATS, pattern)) > 2 or re.search(rf"\){REPEATS}", pattern):
            raise ValueError(f"it says the alpha of “{pattern[:60]}”, a pattern with too many repeats to be tried")
        if re.match(rf"(.*\.)?({pattern})$", name):
            return alpha
    return config.get("lora_alpha", rank)
