"""What `--model` accepts, and which family reads it."""

from collections.abc import Callable
from pathlib import Path

import torch

from playground.models import folder as folders
from playground.models.contract import Model
from playground.models.families import sd
from playground.models.running.device import default_device
from playground.refusal import Refusal

REGISTERED: dict[str, Path] = {"pocket": Path(__file__).parent / "pocket"}
# by the class that a folder's model_index.json names
FAMILIES: dict[str, Callable[[str, Path, torch.device, torch.dtype | None], Model]] = {
    "StableDiffusionPipeline": sd.load,
}


def load_model(
    name_or_folder: str | Path, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> Model:
    """A registered name, or a local folder in diffusers layout with safetensors weights.

    Raises Refusal with one sentence when there is no such model, or none that can be run. Nothing is ever downloaded.
    """
    name = str(name_or_folder)
    folder = REGISTERED.get(name, Path(name_or_folder))
    if not (folder / folders.INDEX).is_file():
        raise Refusal(f"There is no model named {Path(name).name!r}; known: {', '.join(REGISTERED)}.")
    kind = folders.index(folder).get("_class_name")
    if kind not in FAMILIES:
        raise Refusal(f"{folder.name} is a {kind}, which cannot be run here; known: {', '.join(FAMILIES)}.")
    return FAMILIES[kind](name if name in REGISTERED else folder.name, folder, device or default_device(), dtype)
