"""Settings that no pipeline can use are one sentence at the start, which names them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from playground.models.registry import load_model
from playground.refusal import Refusal
from tests.models.test_whole import aura_flow
from tests.models.tiny import build
from tests.models.tiny_families import build_family

SCHEDULE, VAE, TRANSFORMER = "scheduler/scheduler_config.json", "vae/config.json", "transformer/config.json"
UNET = "unet/config.json"
WHOLE = "must be a whole number above 0"
NUMBER = "must be a number above 0"
RATE = "must be a number between 0 and 1"


def built(kind: str, folder: Path) -> Path:
    if kind == "aura-tiny":  # which is run by its own pipeline
        return aura_flow(folder / kind)
    return build(kind, folder) if kind == "sd15-tiny" else build_family(kind, folder)


@pytest.mark.parametrize(
    ("kind", "file", "change", "says"),
    [
        ("sd15-tiny", SCHEDULE, [], "holds no settings"),
        ("aura-tiny", SCHEDULE, "x", "holds no settings"),
        ("sd15-tiny", "text_encoder/config.json", [], "holds no settings"),
        ("sd15-tiny", SCHEDULE, {"timestep_spacing": "wide"}, 'says timestep_spacing: "wide", which must be one of'),
        ("sana-tiny", SCHEDULE, {"timestep_spacing": ["wide"]}, r'says timestep_spacing: \["wide"\], which must be'),
        ("pixart-sigma-tiny", SCHEDULE, {"num_train_timesteps": 0}, f"says num_train_timesteps: 0, which {WHOLE}"),
        ("aura-tiny", SCHEDULE, {"num_train_timesteps": -5}, f"says num_train_timesteps: -5, which {WHOLE}"),
        ("sd15-tiny", SCHEDULE, {"num_train_timesteps": None}, f"says num_train_timesteps: null, which {WHOLE}"),
        ("aura-tiny", SCHEDULE, {"shift": None}, f"says shift: null, which {NUMBER}"),
        ("sd15-tiny", VAE, {"scaling_factor": None}, f"says scaling_factor: null, which {NUMBER}"),
        ("sd3-tiny", VAE, {"scaling_factor": "a"}, f'says scaling_factor: "a", which {NUMBER}'),
        ("aura-tiny", VAE, {"scaling_factor": float("nan")}, f"says scaling_factor: NaN, which {NUMBER}"),
        ("sana-tiny", TRANSFORMER, {"sample_size": None}, f"says sample_size: null, which {NUMBER}"),
        ("pixart-alpha-tiny", TRANSFORMER, {"sample_size": [8, 8]}, rf"says sample_size: \[8, 8\], which {NUMBER}"),
        ("aura-tiny", TRANSFORMER, {"sample_size": None}, f"says sample_size: null, which {NUMBER}"),
        ("sd15-tiny", UNET, {"sample_size": "a"}, f'says sample_size: "a", which {NUMBER}, or two'),
        ("sd15-tiny", UNET, {"sample_size": [8, -8]}, rf"says sample_size: \[8, -8\], which {NUMBER}, or two"),
        ("sd15-tiny", SCHEDULE, {"prediction_type": "score"}, 'says prediction_type: "score", which must be one of'),
        ("pixart-sigma-tiny", SCHEDULE, {"prediction_type": None}, "says prediction_type: null, which must be one of"),
        ("sd15-tiny", SCHEDULE, {"beta_schedule": "cosine"}, 'says beta_schedule: "cosine", which must be one of'),
        ("sdxl-tiny", SCHEDULE, {"beta_schedule": "laplace"}, 'says beta_schedule: "laplace", which must be one of'),
        ("sd15-tiny", SCHEDULE, {"beta_start": "a"}, f'says beta_start: "a", which {RATE}'),
        ("pixart-alpha-tiny", SCHEDULE, {"beta_end": float("nan")}, f"says beta_end: NaN, which {RATE}"),
        ("sd15-tiny", SCHEDULE, {"trained_betas": "x"}, 'says trained_betas: "x", which must be 1,000 numbers between'),
        (
            "sd15-tiny",
            SCHEDULE,
            {"trained_betas": [1, 2]},
            r"says trained_betas: \[1, 2\], which must be 1,000 numbers",
        ),
        ("sana-tiny", SCHEDULE, {"shift": None}, f"says shift: null, which {NUMBER}"),
        ("sana-tiny", SCHEDULE, {"flow_shift": "a"}, f'says flow_shift: "a", which {NUMBER}'),
        ("flux-dev-tiny", SCHEDULE, {"max_shift": "x"}, 'says max_shift: "x", which must be a number here'),
        (
            "qwen-image-tiny",
            SCHEDULE,
            {"shift_terminal": 1},
            "says shift_terminal: 1, which must be a number from 0 to",
        ),
        ("flux-dev-tiny", SCHEDULE, {"base_image_seq_len": None}, f"says base_image_seq_len: null, which {NUMBER}"),
    ],
)
def test_a_setting_that_cannot_be_followed_is_named_at_the_start(
    kind: str, file: str, change: Any, says: str, tmp_path: Path
) -> None:
    folder = built(kind, tmp_path)
    config = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(config | change if isinstance(change, dict) else change))
    with pytest.raises(Refusal, match=f"^The model in {kind} cannot be loaded: its {file} {says}") as refused:
        load_model(folder, torch.device("cpu"), torch.float32)
    assert "\n" not in str(refused.value)


def test_a_setting_that_is_not_there_is_the_libraries_own(tmp_path: Path) -> None:
    folder = built("sd15-tiny", tmp_path)
    (folder / SCHEDULE).write_text(json.dumps({"_class_name": "PNDMScheduler"}))
    assert load_model(folder, torch.device("cpu"), torch.float32).facts.schedule["num_train_timesteps"] == 1000
