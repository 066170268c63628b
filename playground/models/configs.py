"""Whether the settings of a folder's parts can be followed at all. What the libraries say of those that cannot is an
error of Python's, comes only when a picture is drawn, or is about the hub."""

import json
import math
from pathlib import Path
from typing import Any

from playground.models.folder import CONFIG
from playground.refusal import Refusal
from playground.sources.parts import called, index_of

SCHEDULE = "scheduler_config.json"
SPACINGS = ("linspace", "leading", "trailing")
SQUARE = ("PixArtTransformer2DModel", "SanaTransformer2DModel", "AuraFlowTransformer2DModel")  # one sample_size, always


def check_configs(folder: Path) -> None:
    """Raises Refusal, which names the file and the setting, for the first one that no pipeline can use."""
    for part, value in index_of(folder).items():
        for path in (folder / part / CONFIG, folder / part / SCHEDULE):
            if path.is_file() and isinstance(value, list) and (wrong := _wrong(_read(path), str(value[-1]))):
                raise Refusal(f"The model in {called(folder)} cannot be loaded: its {part}/{path.name} {wrong}.")


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _wrong(config: Any, kind: str) -> str:
    """What is wrong in the config of a part of this class, as the end of a sentence; empty where nothing is."""
    if not isinstance(config, dict):
        return "holds no settings"
    steps, spacing = config.get("num_train_timesteps", 1000), config.get("timestep_spacing", SPACINGS[0])
    if type(steps) is not int or steps < 1:
        return f"says {_said('num_train_timesteps', steps)}, which must be a whole number above 0"
    if spacing not in SPACINGS:
        return f"says {_said('timestep_spacing', spacing)}, which must be one of {', '.join(SPACINGS)}"
    numbers = ["scaling_factor"] if kind.startswith("Autoencoder") else []
    numbers += ["shift"] if kind.startswith("FlowMatch") else []
    numbers += ["sample_size"] if kind in SQUARE else []
    for name in numbers:
        value = config.get(name, 1)
        if type(value) not in (int, float) or not 0 < value < math.inf:
            return f"says {_said(name, value)}, which must be a number above 0"
    return ""


def _said(name: str, value: Any) -> str:
    return f"{name}: {json.dumps(value)[:40]}"
