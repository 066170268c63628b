"""What `--model` accepts, and which family reads it."""

from collections.abc import Sequence
from pathlib import Path

import diffusers
import torch
from diffusers import DiffusionPipeline

from playground.models import folder as folders
from playground.models import single_file
from playground.models.contract import Model
from playground.models.families import sd
from playground.models.families.base import Family
from playground.models.families.flux import Flux
from playground.models.families.pixart import PixArt
from playground.models.families.sd3 import StableDiffusion3
from playground.models.families.sdxl import StableDiffusionXL
from playground.models.running.device import default_device, default_dtype
from playground.refusal import Refusal
from playground.sources.given import REGISTERED, Source, source
from playground.sources.parts import PIPELINES as KNOWN

# by the class that a folder's model_index.json names
FAMILIES: dict[str, type[Family]] = {
    "StableDiffusionXLPipeline": StableDiffusionXL,
    "StableDiffusion3Pipeline": StableDiffusion3,
    "FluxPipeline": Flux,
    "PixArtAlphaPipeline": PixArt,
    "PixArtSigmaPipeline": PixArt,
}

__all__ = ["FAMILIES", "KNOWN", "REGISTERED", "load_model"]


def load_model(
    given: str | Path | Source,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
    loras: Sequence[Path] = (),
) -> Model:
    """A registered name, a local folder in diffusers layout with safetensors weights, a `.safetensors` file with all of
    Stable Diffusion 1.x, 2.x or SDXL in it, or an id of the hub, `owner/name` or `owner/name@revision`.

    `loras`: folders of LoRA files for any model; those that do not fit this one are left out. Raises Refusal with one
    sentence when there is no such model, or none that can be run. Only an id of the hub that is not here yet is
    downloaded.
    """
    found = source(given)
    folder, device = found.path, device or default_device()
    if folder.is_file():
        return _of_one_file(folder, device, dtype, loras)
    kind = folders.index(folder).get("_class_name")
    if kind not in KNOWN:
        raise Refusal(f"{found.name} is a {kind}, which cannot be run here; known: {', '.join(KNOWN)}.")
    if kind not in FAMILIES:
        return sd.load(found.name, folder, device, dtype, loras)
    pipeline = folders.load_pipeline(getattr(diffusers, kind), folder)
    return FAMILIES[kind](found.name, pipeline, device, dtype or _precision(pipeline, device), folder, loras)


def _of_one_file(path: Path, device: torch.device, dtype: torch.dtype | None, loras: Sequence[Path]) -> Model:
    pipeline = single_file.load(path)
    kind = type(pipeline).__name__
    if kind not in KNOWN:
        raise Refusal(
            f"The folder beside {path.name} says that it is a {kind}, which cannot be run from one file here."
        )
    if kind not in FAMILIES:
        return sd.StableDiffusion(path.stem, pipeline, device, dtype or default_dtype(device), path, loras)
    return FAMILIES[kind](path.stem, pipeline, device, dtype or _precision(pipeline, device), path, loras)


def _precision(pipeline: DiffusionPipeline, device: torch.device) -> torch.dtype:
    """fp32 on CPUs; on accelerators what the weights were trained in: bf16 for transformers, fp16 for U-Nets."""
    if device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if hasattr(pipeline, "transformer") else torch.float16
