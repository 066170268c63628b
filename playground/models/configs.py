"""Whether the settings of a folder's parts can be followed at all. What the libraries say of those that cannot is an
error of Python's, comes only when a picture is drawn, or is about the hub."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playground.answer import FLOW
from playground.models.folder import CONFIG
from playground.refusal import Refusal
from playground.sources.parts import called, index_of

SCHEDULE = "scheduler_config.json"
CHOICES = {  # of a schedule, that the samplers here follow
    "timestep_spacing": ("linspace", "leading", "trailing"),
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
    "prediction_type": ("epsilon", "v_prediction", "sample", FLOW),
}
SQUARE = ("PixArtTransformer2DModel", "SanaTransformer2DModel", "AuraFlowTransformer2DModel")  # one sample_size, always
UNET = "UNet2DConditionModel"


def check_configs(folder: Path) -> None:
    """Raises Refusal, which names the file and the setting, for the first one that no pipeline can use."""
    for part, value in index_of(folder).items():
        for path in (folder / part / CONFIG, folder / part / SCHEDULE):
            if path.is_file() and isinstance(value, list) and (wrong := _wrong(_read(path), str(value[-1]))):
                raise Refusal(f"The model in {called(folder)} cannot be loaded: its {part}/{path.name} {wrong}.")


def is_told_guidance(folder: Path) -> bool:
    """Whether a folder's U-Net is told the guidance scale beside the time, as latent consistency models are (Luo et al.
    2023, https://arxiv.org/abs/2310.04378); of the families none does it."""
    config = _read(folder / "unet" / CONFIG)
    return isinstance(config, dict) and config.get("time_cond_proj_dim") is not None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _wrong(config: Any, kind: str) -> str:
    """What is wrong in the config of a part of this class, as the end of a sentence; empty where nothing is."""
    if not isinstance(config, dict):
        return "holds no settings"
    steps = config.get("num_train_timesteps", 1000)
    if type(steps) is not int or steps < 1:
        return f"says {_said('num_train_timesteps', steps)}, which must be a whole number above 0"
    for name, choices in CHOICES.items():
        if name in config and config[name] not in choices:
            return f"says {_said(name, config[name])}, which must be one of {', '.join(choices)}"
    for names, fits, what in _numbers(kind):
        for name in names:
            if name in config and not fits(config[name]):
                return f"says {_said(name, config[name])}, which must be a number {what}"
    side = config.get("sample_size")
    if kind == UNET and not all(map(_is_above_0, side if isinstance(side, list) else [1 if side is None else side])):
        return f"says {_said('sample_size', side)}, which must be a number above 0, or two"
    betas = config.get("trained_betas")
    if betas is not None and not (isinstance(betas, list) and len(betas) == steps and all(map(_is_rate, betas))):
        return f"says {_said('trained_betas', betas)}, which must be {steps:,} numbers between 0 and 1"
    return ""


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_above_0(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_rate(value: Any) -> bool:
    return _is_number(value) and 0 < value < 1


OF_SCHEDULES = (
    (("beta_start", "beta_end"), _is_rate, "between 0 and 1"),
    (("shift", "flow_shift", "base_image_seq_len", "max_image_seq_len"), _is_above_0, "above 0"),
    (("base_shift", "max_shift"), _is_number, "here"),
    (("shift_terminal",), lambda value: value in (None, 0) or _is_rate(value), "from 0 to below 1, or null"),
)


def _numbers(kind: str) -> tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...]:
    """Settings of a part of this class that must be numbers: their names, what numbers fit, in words."""
    if kind.endswith("Scheduler"):
        return OF_SCHEDULES
    above_0 = ["scaling_factor"] if kind.startswith("Autoencoder") else ["sample_size"] if kind in SQUARE else []
    return ((tuple(above_0), _is_above_0, "above 0"),)


def _said(name: str, value: Any) -> str:
    return f"{name}: {json.dumps(value)[:40]}"
