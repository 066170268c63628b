"""The embedded model: its size, its files, and that any diffusers tool can load it."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from playground.models import REGISTERED

POCKET = REGISTERED["pocket"]
ROOT = Path(__file__).parents[2]


def test_plain_diffusers_loads_it_with_nothing_else_said() -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(POCKET)
    parts = (CLIPTextModel, UNet2DConditionModel, AutoencoderKL, DDIMScheduler, CLIPTokenizer)
    loaded = (pipeline.text_encoder, pipeline.unet, pipeline.vae, pipeline.scheduler, pipeline.tokenizer)
    assert all(isinstance(a, b) for a, b in zip(loaded, parts, strict=True))
    picture = pipeline("red apple, blue background", num_inference_steps=2).images[0]
    assert picture.size == (128, 128)


def test_it_has_stable_diffusions_layout_and_schedule() -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(POCKET)
    assert pipeline.vae_scale_factor == 8 and pipeline.unet.config.in_channels == 4
    schedule = pipeline.scheduler
    assert schedule.config.beta_schedule == "scaled_linear" and schedule.config.prediction_type == "epsilon"
    assert schedule.alphas_cumprod[999].item() == pytest.approx(0.0047, abs=1e-4)


def test_weights_are_small_safetensors_only() -> None:
    files = [p for p in POCKET.rglob("*") if p.is_file()]
    assert not [p for p in files if p.suffix in {".bin", ".pt", ".pth", ".ckpt", ".pkl"}]
    assert max(p.stat().st_size for p in files) < 10e6
    generator = [p for p in files if p.relative_to(POCKET).parts[0] in {"unet", "vae", "text_encoder", "tokenizer"}]
    assert sum(p.stat().st_size for p in generator) <= 40e6


def test_the_latents_it_denoises_have_unit_variance(engine) -> None:  # noqa: ANN001
    """What the U-Net was trained on: the final latents of ordinary pictures are near N(0, 1) in scale."""
    from playground import Recipe

    scale = torch.cat([engine.render(Recipe(prompt="car, grey background", seed=s)).x0 for s in (1, 2)]).std()
    assert 0.6 < scale < 1.6


def test_the_card_states_what_was_measured() -> None:
    card, report = (POCKET / "README.md").read_text(), json.loads((POCKET / "evaluation.json").read_text())
    assert f"{report['vae_psnr']:.1f} dB" in card
    assert f"{report['samples_seen']:,}" in card
    for guidance in ("5", "1"):
        scores = report["guidance"][guidance]
        for key in ("background", "top5", "top1"):
            assert f"{scores[key]:.0%}".replace("%", " %") in card, (guidance, key)


def test_the_card_says_what_its_judge_is_and_what_an_eye_saw() -> None:
    card, report, looked = (
        (POCKET / "README.md").read_text(),
        *(json.loads((POCKET / f"{name}.json").read_text()) for name in ("evaluation", "looked")),
    )
    assert "as a closed-set judge trained on real renders names it" in card
    by_eye = f"**{looked['right'] / (looked['prompts'] * looked['seeds']):.0%}**".replace("%", " %")
    row = next((line for line in card.splitlines() if "judged by looking" in line), None)
    assert (row is not None) == (looked["samples_seen"] == report["samples_seen"])
    assert row is None or (by_eye in row and looked["method"] in card)


def test_guidance_measurably_matters() -> None:
    scores = json.loads((POCKET / "evaluation.json").read_text())["guidance"]
    assert scores["5"]["top5"] > scores["1"]["top5"]


def test_the_first_view_was_rendered_by_these_weights(engine) -> None:  # noqa: ANN001
    import numpy as np

    from playground.store import from_png
    from playground.ui.shared.shipped import examples, first_view_files

    shown = from_png(first_view_files(examples()[0].sweep)[2].read_bytes())
    now = engine.render(shown.recipe)
    difference = np.abs(np.asarray(shown.image).astype(int) - np.asarray(now.image).astype(int))
    assert difference.mean() <= 1
