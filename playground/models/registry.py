"""What `--model` accepts, and which family reads it."""

from collections.abc import Sequence
from pathlib import Path

import diffusers
import torch

from playground.models import single_file, whole
from playground.models.configs import check_configs, is_told_guidance
from playground.models.contract import Model, WholeModel
from playground.models.families.base import Family
from playground.models.families.flux import Flux
from playground.models.families.flux2 import Flux2Klein
from playground.models.families.lumina2 import Lumina2
from playground.models.families.pixart import PixArt
from playground.models.families.qwen_image import QwenImage
from playground.models.families.sana import Sana
from playground.models.families.sd import StableDiffusion
from playground.models.families.sd3 import StableDiffusion3
from playground.models.families.sdxl import StableDiffusionXL
from playground.models.families.z_image import ZImage
from playground.models.folder import refusing
from playground.models.loading import Loaded, keep_layers, load, planned
from playground.models.running.device import cast, default_device
from playground.models.running.plan import AS_IN_FILE
from playground.refusal import Refusal
from playground.sources.given import REGISTERED, Source, source
from playground.sources.others import of_a_family
from playground.sources.parts import called, index_of
from playground.sources.single_file import layout, settings
from playground.sources.weights import weights_of

# by the class that a folder's model_index.json names
FAMILIES: dict[str, type[Family]] = {
    "StableDiffusionPipeline": StableDiffusion,
    "StableDiffusionXLPipeline": StableDiffusionXL,
    "StableDiffusion3Pipeline": StableDiffusion3,
    "FluxPipeline": Flux,
    "PixArtAlphaPipeline": PixArt,
    "PixArtSigmaPipeline": PixArt,
    "SanaPipeline": Sana,
    "QwenImagePipeline": QwenImage,
    "ZImagePipeline": ZImage,
    "Lumina2Pipeline": Lumina2,
    "Flux2KleinPipeline": Flux2Klein,
}

__all__ = ["FAMILIES", "REGISTERED", "load_model"]


def load_model(
    given: str | Path | Source,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
    loras: Sequence[Path] = (),
    memory: int | None = None,
    preview: Path | None = None,
) -> Model | WholeModel:
    """A registered name, a local folder in diffusers layout with safetensors weights, of a family that is known here or
    else of any text-to-image pipeline of diffusers, which then draws whole pictures, a `.safetensors` file with all of
    Stable Diffusion 1.x, 2.x or SDXL in it, or an id of the hub, `owner/name` or `owner/name@revision`.

    `loras`: folders of LoRA files for any model; those that do not fit this one are left out. `memory`: bytes of the
    device that may be used at most; without it what is free. `preview`: the folder of an AutoencoderTiny. A model that
    draws whole pictures has no previews, and all LoRAs are left out of it. Raises Refusal with one sentence when there
    is no such model, none that can be run, or no room for it. Only an id of the hub that is not here yet is downloaded.
    """
    found = source(given)
    path, device = found.path, device or default_device()
    folder = settings(path, layout(path)) if path.is_file() else path
    listed = index_of(folder)
    kind = listed["_class_name"]
    check_configs(folder)
    if not of_a_family(listed) or is_told_guidance(path):
        if path.is_file():
            said = listed["scheduler"][-1] if kind in FAMILIES else kind
            raise Refusal(f"The folder beside {path.name} says {said}, which cannot be run from one file here.")
        return whole.load(found.name, path, device, dtype, loras, memory)
    family = FAMILIES[kind]
    dtype = dtype or family.precision(device)
    texts = family.precision_of_texts(dtype)
    plan = planned(found.name, path, device, dtype, texts, memory)
    if path.is_file():
        loaded = Loaded(single_file.load(path), plan, preview)
        unet = loaded.pipeline.unet  # in fp32, whatever its file has
        keep_layers(unet if plan.storage == AS_IN_FILE else cast(unet, dtype), dtype, plan, weights_of(path)["unet"])
    else:
        loaded = load(getattr(diffusers, kind), path, dtype, texts, plan, preview, **family.left_out)
    with refusing(f"The model in {called(path)}"):  # such as for sizes of its parts that do not fit each other
        return family(found.name, loaded, device, dtype, path, loras)
