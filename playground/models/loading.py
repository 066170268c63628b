"""A folder in diffusers layout -> its pipeline on the CPU, each part in its precision, and the plan of its memory."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DiffusionPipeline
from torch import nn

from playground.models.folder import load_pipeline, refusing
from playground.models.running import plan as plans
from playground.models.running.memory import free_of_device, free_of_host
from playground.models.running.offload import Read, cast_layers
from playground.models.running.plan import EVERYTHING, Plan, Sizes
from playground.recipe import SIDE_RANGE
from playground.sources.parts import DENOISERS, called, index_of
from playground.sources.weights import PartWeights, weights_of

IN_FILE = {"F16": torch.float16, "BF16": torch.bfloat16}
WIDTH = 128  # of a decoder whose config does not say it


@dataclass(frozen=True)
class Loaded:
    """A pipeline as it was read, and what is to become of it."""

    pipeline: DiffusionPipeline
    plan: Plan = EVERYTHING
    preview: Path | None = None  # the folder of a tiny autoencoder, where one was given
    read: Mapping[str, Read] = field(default_factory=dict)  # part's name -> the same network, read again

    @property
    def read_again(self) -> dict[nn.Module, Read]:
        """The same by the parts themselves."""
        return {part: self.read[name] for name, part in self.pipeline.components.items() if name in self.read}


def planned(
    name: str,
    path: Path,
    device: torch.device,
    dtype: torch.dtype,
    texts: torch.dtype,
    memory: int | None = None,
) -> Plan:
    """From the headers of its files and what is free now. `dtype` is the denoiser's and `texts` the text encoders'; the
    VAE is run in fp32, so that no banding appears. `memory`: bytes of the device that may be used at most.

    Raises Refusal where nothing fits. A folder that lacks a part is planned no further: it is refused when it is read.
    """
    parts = weights_of(path)
    denoiser = next((part for part in DENOISERS if part in parts), "")
    if not denoiser or "vae" not in parts:
        return EVERYTHING
    used = {n: weights for n, weights in parts.items() if n.startswith("text_encoder") or n in ("vae", denoiser)}
    each = {part: (texts if part.startswith("text_encoder") else dtype).itemsize for part in used} | {"vae": 4}
    vae = (SIDE_RANGE[1], WIDTH, plans.DECODER_HOLDS) if path.is_file() else _of_vae(path)
    sizes = Sizes(used, denoiser, each, *vae, rereads=path.is_dir())
    return plans.plan(name, sizes, device.type, free_of_device(device), free_of_host(), memory)


def planned_whole(
    name: str,
    path: Path,
    kind: type[DiffusionPipeline],
    device: torch.device,
    dtype: torch.dtype,
    memory: int | None = None,
) -> Plan:
    """The same for a folder that is run by its own pipeline, of class `kind`, with all parts in `dtype`. On a CPU
    nothing is shared, and only what was asked for at most is kept to."""
    parts = weights_of(path)
    if not parts or (device.type != "cuda" and memory is None):
        return EVERYTHING
    side, width, holds = _of_vae(path)
    decoding = 4 * holds * side**2 * width  # some VAEs are run in fp32 whatever was asked
    by_parts = kind.model_cpu_offload_seq is not None
    free = free_of_device(device)
    return plans.plan_whole(name, parts, dtype.itemsize, decoding, by_parts, device.type, free, free_of_host(), memory)


def load(
    kind: type[DiffusionPipeline],
    folder: Path,
    dtype: torch.dtype,
    texts: torch.dtype,
    plan: Plan,
    preview: Path | None = None,
    **left_out: None,
) -> Loaded:
    """By the plan. Raises Refusal, with one sentence, for a folder that cannot be read."""
    parts: dict[str, Any] = dict(left_out)
    if plan.storage != plans.AS_RUN:  # before the others, because it takes more room until its layers are cast
        listed = index_of(folder)
        denoiser = next(part for part in DENOISERS if part in listed)
        parts[denoiser] = _read_denoiser(getattr(diffusers, listed[denoiser][1]), folder / denoiser, plan, dtype)
    types = {f"text_encoder{n}": texts for n in ("", "_2", "_3")} | {"vae": torch.float32, "default": dtype}
    pipeline = load_pipeline(kind, folder, **parts, dtype=types)
    read: dict[str, Read] = {}
    for name, part in pipeline.components.items():
        if isinstance(part, nn.Module):
            if name in DENOISERS:
                read[name] = partial(_read_denoiser, type(part), folder / name, plan, dtype=dtype)
            else:
                read[name] = partial(_read, type(part), folder / name, dtype=types.get(name, dtype))
    return Loaded(pipeline, plan, preview, read)


def _read(kind: type[nn.Module], folder: Path, dtype: torch.dtype) -> nn.Module:
    """One network on the CPU."""
    with refusing(f"The model in {called(folder.parent)}"):
        return kind.from_pretrained(folder, use_safetensors=True, local_files_only=True, dtype=dtype).eval()


def _read_denoiser(kind: type[nn.Module], folder: Path, plan: Plan, dtype: torch.dtype) -> nn.Module:
    """With its layers in the precision that the plan keeps them in."""
    weights = weights_of(folder.parent)[folder.name]
    first = IN_FILE[weights.precision] if plan.storage == plans.AS_IN_FILE else dtype
    return keep_layers(_read(kind, folder, first), dtype, plan, weights)


def keep_layers(network: nn.Module, dtype: torch.dtype, plan: Plan, weights: PartWeights) -> nn.Module:
    """A denoiser, in `dtype` or as its file has it -> the same with its layers kept as the plan says."""
    if plan.storage == plans.AS_IN_FILE:
        return cast_layers(network, IN_FILE[weights.precision], dtype)
    return cast_layers(network, torch.float8_e4m3fn, dtype) if plan.storage == plans.FP8 else network


def _of_vae(folder: Path) -> tuple[int, int, int]:
    """Pixels per side of its pictures, the width of its decoder where they are largest, as far as its config says
    them, and how many times both it holds."""
    try:
        config = json.loads((folder / "vae" / "config.json").read_text(encoding="utf-8"))
        side = min(int(config.get("sample_size", SIDE_RANGE[1])), SIDE_RANGE[1])
        holds = plans.OTHERS_HOLD.get(config.get("_class_name"), plans.DECODER_HOLDS)
        if "base_dim" in config:
            return side, int(config["base_dim"]) * int(config["dim_mult"][0]), holds
        widths = config.get("decoder_block_out_channels") or config.get("block_out_channels", [WIDTH])
        return side, int(widths[0]), holds
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return SIDE_RANGE[1], WIDTH, plans.DECODER_HOLDS
