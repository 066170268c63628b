"""Folders whose scheduler is none of the samplers here: drawn as their own pipeline draws, or refused."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DiffusionPipeline,
    EDMDPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    IPNDMScheduler,
    LCMScheduler,
    LMSDiscreteScheduler,
    TCDScheduler,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
)

from playground import Recipe, open_engine
from playground.engine import LocalEngine
from playground.export.script import to_script
from playground.refusal import Refusal
from tests.models.families.test_equal import plain
from tests.models.sources import original_layout
from tests.models.tiny import BETAS, build
from tests.models.tiny_families import build_family, sdxl
from tests.reference import TOLERANCE, called, drawn_by_program, largest_difference

CPU = (torch.device("cpu"), torch.float32, "torch")
# of Playground 2.5's VAE, as its folder has them
STATISTICS = {"latents_mean": [-1.6574, 1.886, -1.383, 2.5155], "latents_std": [8.4927, 5.9022, 6.5498, 5.2299]}


def saved(to: Path, scheduler: Any, **vae: Any) -> Path:
    torch.manual_seed(1)
    pipeline = sdxl(scheduler)
    pipeline.vae.register_to_config(**vae)
    pipeline.save_pretrained(to)
    return to


def own(folder: Path) -> DiffusionPipeline:
    pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def asked(engine: LocalEngine) -> list[Recipe]:
    """With and without a negative prompt, and without guidance."""
    base = engine.facts.usual.replace(prompt="red apple", num_inference_steps=4, seed=3, width=64, height=64)
    return [base.replace(negative_prompt="cat"), base, base.replace(guidance_scale=1.0)]


@pytest.mark.parametrize(
    ("scheduler", "sampler"), [(EDMDPMSolverMultistepScheduler, "dpmpp_2m"), (EDMEulerScheduler, "euler")]
)
def test_a_model_with_edms_schedule_is_run_by_its_own_pipeline_also_as_a_program(
    scheduler: type, sampler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Playground 2.5 is laid out: no sampler here knows the scales that EDM puts around the network."""
    folder = saved(tmp_path / "edm", scheduler(), scaling_factor=0.5, **STATISTICS)
    with closing(open_engine(folder, *CPU)) as engine:
        assert engine.facts.whole and engine.facts.samplers == (sampler,)
        assert engine.facts.takes == ("negative_prompt", "guidance_scale", "guidance_rescale", "clip_skip")  # no eta
        for recipe in asked(engine):
            told = {"negative_prompt": recipe.negative_prompt or None, "width": 64, "height": 64}
            expected = called(own(folder), recipe, **told)
            assert expected.std() > 3
            assert largest_difference(engine.render(recipe), expected) == 0
        with pytest.raises(Refusal, match="^edm is run by its own pipeline, which takes no ControlNet here"):
            engine.model.attach_control(tmp_path)
        monkeypatch.chdir(tmp_path)
        assert np.abs(drawn_by_program(to_script(recipe, engine.facts), folder) - expected).max() == 0


@pytest.mark.parametrize("kind", ["sd15-tiny", "sdxl-tiny"])
def test_a_u_net_that_is_told_the_guidance_scale_is_run_by_its_own_pipeline(kind: str, tmp_path: Path) -> None:
    """As latent consistency models are laid out, which ask it once a step."""
    folder = build(kind, tmp_path) if kind == "sd15-tiny" else build_family(kind, tmp_path)
    changed = own(folder)
    torch.manual_seed(1)
    changed.unet = UNet2DConditionModel.from_config(changed.unet.config, time_cond_proj_dim=16)
    changed.scheduler = LCMScheduler.from_config(changed.scheduler.config)
    changed.save_pretrained(folder)
    with closing(open_engine(folder, *CPU)) as engine:
        assert engine.facts.whole and engine.facts.samplers == ("lcm",)
        for recipe in asked(engine):
            result = engine.render(recipe)
            told = {"negative_prompt": recipe.negative_prompt or None, "width": 64, "height": 64}
            assert largest_difference(result, called(own(folder), recipe, **told)) == 0
            assert result.evaluations == recipe.num_inference_steps


@pytest.mark.parametrize(
    "scheduler",
    [
        LMSDiscreteScheduler(**BETAS, use_karras_sigmas=True),
        TCDScheduler(**BETAS),
        EulerDiscreteScheduler(
            **BETAS, prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing"
        ),
    ],
    ids=lambda scheduler: type(scheduler).__name__,
)
def test_every_offered_sampler_follows_the_betas_of_any_scheduler_and_the_vae_its_own_statistics(
    scheduler: Any, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "betas", scheduler, **STATISTICS)
    pipeline = own(folder)
    with closing(open_engine(folder, *CPU)) as engine:
        facts = engine.facts
        assert not facts.whole and facts.usual.sampler in facts.samplers and facts.guidance == "classifier-free"
        assert ("heun" in facts.samplers) == (not scheduler.config.get("rescale_betas_zero_snr"))  # which it knows not
        for sampler in facts.samplers:
            recipe = asked(engine)[0].replace(sampler=sampler)
            assert largest_difference(engine.render(recipe), plain(pipeline, recipe)) <= TOLERANCE
        latents = torch.randn(1, 4, 8, 8)
        assert torch.allclose(engine.model.scaled(engine.model.unscaled(latents)), latents, atol=1e-5)
        pipeline.vae.register_to_config(latents_mean=None, latents_std=None)
        without = plain(pipeline, recipe)
        assert np.abs(without - np.asarray(engine.render(recipe).image).astype(int)).max() > 3 * TOLERANCE


@pytest.mark.parametrize(
    ("scheduler", "says"),
    [
        (IPNDMScheduler(), "its scheduler, IPNDMScheduler, is none of the samplers that are known here"),
        (FlowMatchEulerDiscreteScheduler(), "its FlowMatchEulerDiscreteScheduler is for flow matching, which Stable"),
        (
            UniPCMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction"),
            "its UniPCMultistepScheduler is for flow matching, which Stable Diffusion XL is not",
        ),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_schedule_that_nothing_here_follows_is_one_sentence(scheduler: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=f"^other .*cannot be run here: {says}"):
        open_engine(saved(tmp_path / "other", scheduler), *CPU)


def test_settings_with_edms_schedule_beside_a_single_file_are_refused(tmp_path: Path) -> None:
    path = original_layout.write(build("sd15-tiny", tmp_path / "folders"), tmp_path)
    settings = path.with_suffix("") / "model_index.json"
    settings.write_text(settings.read_text().replace("PNDMScheduler", "EDMEulerScheduler"))
    with pytest.raises(Refusal, match="^The folder beside sd15-tiny.safetensors says EDMEulerScheduler, which cannot"):
        open_engine(path, *CPU)
