"""Where runs stand between two calls is what diffusers' own schedulers say, for all samplers."""

import math

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler

from playground import Recipe, noise
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.schedule import (
    Level,
    alphas_cumprod,
    check_timestep,
    level_at,
    levels,
    plan,
    prediction_type,
    scheduler_for,
    total_timesteps,
    visited,
)

CONFIG = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "clip_sample": False,
}
ZERO = {**CONFIG, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}


def recipe(sampler: str, steps: int = 10) -> Recipe:
    return Recipe(sampler=sampler, num_inference_steps=steps)


# levels


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_there_is_a_level_for_every_call_and_one_for_the_end(sampler: str) -> None:
    """Each stands at the noise that its timestep means in the training schedule, and together they fall."""
    asked = recipe(sampler)
    found, scheduler = levels(asked, CONFIG), scheduler_for(asked, CONFIG)
    assert len(found) == SAMPLERS[sampler].calls(10) + 1
    assert [level.t for level in found] == [*scheduler.timesteps.tolist(), None]
    sigma = DDIMScheduler.from_config(CONFIG).alphas_cumprod.numpy().astype(float)
    sigma = np.sqrt((1 - sigma) / sigma)
    for level in found[:-1]:
        assert level.signal**2 + level.noise**2 == pytest.approx(1)
        # a half-way call of DPM++ SDE is told the timestep whose log σ is nearest, so within one of them
        low, high = np.interp([level.t - 1, level.t + 1], np.arange(1000), np.log(sigma))
        assert low - 1e-3 <= math.log(level.sigma) <= high + 1e-3
        assert level.log_snr == pytest.approx(-2 * math.log(level.sigma), abs=1e-9)
    assert all(a.sigma >= b.sigma for a, b in zip(found, found[1:], strict=False) if b.t is None or a.t != b.t)


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpmpp_2m", "dpmpp_2m_karras", "unipc", "euler_a"])
def test_levels_are_the_sigmas_that_the_scheduler_steps_with(sampler: str) -> None:
    found = levels(recipe(sampler), CONFIG)
    assert [level.sigma for level in found] == pytest.approx(
        scheduler_for(recipe(sampler), CONFIG).sigmas.tolist(), rel=1e-6
    )


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpmpp_2m", "unipc"])
def test_sigma_of_flow_matching_is_the_noise(sampler: str) -> None:
    """The state stands on the straight line, x_t = (1 − σ) x₀ + σ ε, so its σ is not noise over signal."""
    config = {"num_train_timesteps": 1000, "prediction_type": "flow_prediction", "shift": 3.0}
    asked = recipe(sampler)
    found = levels(asked, config)
    assert [level.sigma for level in found] == pytest.approx(scheduler_for(asked, config).sigmas.tolist(), abs=1e-6)
    for level in found:
        assert (level.signal, level.noise) == pytest.approx((1 - level.sigma, level.sigma))
    assert found[4].log_snr == pytest.approx(2 * math.log(1 / found[4].sigma - 1))
    assert level_at(config, 800).sigma == pytest.approx(0.8)


def test_a_level_without_signal_or_without_noise_has_no_nan() -> None:
    pure, clean = Level(999.0, 0.0, 1.0), Level(None, 1.0, 0.0)
    assert (pure.sigma, pure.log_snr) == (math.inf, -math.inf)
    assert (clean.sigma, clean.log_snr) == (0.0, math.inf)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "lcm"])
def test_levels_of_a_schedule_that_ends_in_pure_noise_have_no_nan(sampler: str) -> None:
    """Zero terminal SNR, Lin et al. 2023, https://arxiv.org/abs/2305.08891: ᾱ = 0 at the first call."""
    first, *rest = levels(recipe(sampler), ZERO)
    assert first == Level(999.0, 0.0, 1.0) and first.sigma == math.inf and first.log_snr == -math.inf
    for level in rest:
        assert level.signal > 0 and not math.isnan(level.sigma) and not math.isnan(level.log_snr)


def test_a_run_that_would_leave_the_schedule_is_refused() -> None:
    with pytest.raises(Refusal, match=r"too high for ddim: it would start at t = 100, and the schedule ends at 99\.$"):
        levels(recipe("ddim", 100), {**CONFIG, "num_train_timesteps": 100})


def test_brownian_noise_is_seeded_and_nothing_else_is() -> None:
    for sampler, row in SAMPLERS.items():
        scheduler = scheduler_for(Recipe(sampler=sampler, seed=7), CONFIG)
        assert scheduler.config.get("noise_sampler_seed") == (7 if row.brownian_noise else None)


# visited


def test_the_visited_timesteps_are_those_of_the_scheduler() -> None:
    assert visited(recipe("ddim", 4), CONFIG) == [751, 501, 251, 1]
    theirs = DPMSolverMultistepScheduler.from_config(CONFIG, use_karras_sigmas=True)
    theirs.set_timesteps(10)
    assert visited(recipe("dpmpp_2m_karras"), CONFIG) == theirs.timesteps.tolist()
    assert len(visited(recipe("heun", 6), CONFIG)) == 6  # it asks twice about most, which are still six
    assert visited(recipe("ddim", 4), ZERO) == [999, 749, 499, 249]


# plan


def test_a_plan_starts_at_the_largest_visited_timestep_that_is_not_above_t() -> None:
    found = plan(recipe("ddim"), CONFIG, 640)
    assert (found.begin, found.start, found.steps) == (3, 601, 7)
    assert found.timesteps == (601, 501, 401, 301, 201, 101, 1)
    assert found.levels == levels(recipe("ddim"), CONFIG)[3:] and found.levels[-1].t is None
    assert plan(recipe("ddim"), CONFIG, 601).start == 601 and plan(recipe("ddim"), CONFIG, 600).start == 501
    whole = plan(recipe("ddim"), CONFIG, 999)
    assert (whole.begin, whole.steps, whole.strength) == (0, 10, 1.0)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("t", [60, 333, 500, 640, 998])
def test_the_plans_strength_gives_the_pipelines_timesteps(sampler: str, t: int) -> None:
    """As StableDiffusionImg2ImgPipeline.get_timesteps computes them from `strength`."""
    found, scheduler = plan(recipe(sampler, 20), CONFIG, t), scheduler_for(recipe(sampler, 20), CONFIG)
    t_start = max(20 - min(int(20 * found.strength), 20), 0)
    assert found.begin == t_start * scheduler.order
    assert list(found.timesteps) == scheduler.timesteps[t_start * scheduler.order :].tolist()
    assert found.steps == 20 - t_start and found.start <= t


def test_a_plan_with_nothing_left_to_do_is_refused() -> None:
    with pytest.raises(
        Refusal, match=r"^t = 0 lies below 1, the last timestep of this sampler with 10 steps; choose a larger t\.$"
    ):
        plan(recipe("ddim"), CONFIG, 0)
    with pytest.raises(Refusal, match=r"^num_inference_steps must be at most 100 here\.$"):
        plan(recipe("ddim", 101), CONFIG, 500)


@pytest.mark.parametrize("t", [-1, 1000, 2.0, True, None, "5", math.nan])
def test_a_bad_timestep_is_refused(t: object) -> None:
    for call in (check_timestep, lambda config, t: plan(recipe("ddim"), config, t)):
        with pytest.raises(Refusal, match=r"^t must be a whole number from 0 to 999\.$"):
            call(CONFIG, t)
    with pytest.raises(Refusal, match="from 0 to 49"):
        check_timestep({**CONFIG, "num_train_timesteps": 50}, 50)


# ᾱ, signal and noise


@pytest.mark.parametrize("config", [CONFIG, ZERO, *(CONFIG | named for named in noise.SCHEDULES.values())])
def test_alphas_are_those_of_diffusers_and_may_be_written_into(config: dict[str, object]) -> None:
    theirs = DDPMScheduler.from_config(config).alphas_cumprod
    assert torch.equal(alphas_cumprod(config), theirs)
    alphas_cumprod(config).zero_()
    assert torch.equal(alphas_cumprod(config), theirs)


def test_what_a_config_leaves_out_is_what_diffusers_takes() -> None:
    assert total_timesteps(CONFIG) == 1000 and prediction_type(CONFIG) == "epsilon"
    assert prediction_type(ZERO) == "v_prediction"
    betas = {"num_train_timesteps": 3, "trained_betas": [0.1, 0.2, 0.3]}
    assert alphas_cumprod(betas).tolist() == pytest.approx([0.9, 0.72, 0.504])


def test_signal_and_noise_are_what_a_sigma_sampler_shows_its_network() -> None:
    """x = x₀ + σ ε, scaled by the scheduler for the network, is signal · x₀ + noise · ε of its level."""
    scheduler = EulerDiscreteScheduler.from_config(CONFIG)
    scheduler.set_timesteps(10)
    x0, epsilon = torch.randn(2, 1, 4, 8, 8)
    t, level = scheduler.timesteps[3], levels(recipe("euler"), CONFIG)[3]
    seen = scheduler.scale_model_input(x0 + scheduler.sigmas[3] * epsilon, t)
    assert torch.allclose(seen, level.signal * x0 + level.noise * epsilon, atol=1e-5)
