"""The table agrees with diffusers: classes, calls, noise."""

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler

from playground.answer import FLOW
from playground.engine import LocalEngine
from playground.engine.trajectory import Trajectory, advance_together
from playground.models.families.flow import FLOW_SAMPLERS
from playground.recipe import Recipe
from playground.samplers import SAMPLERS, Sampler
from playground.schedule import scheduler_for
from tests.schedulers import OF_FLOW, WRITTEN, written

FIXED = {"ddim", "ddpm", "euler", "euler_a", "heun", "dpmpp_2m", "dpmpp_2m_karras", "unipc", "pndm", "lcm"}


def test_the_fixed_keys_are_there() -> None:
    assert FIXED <= set(SAMPLERS)


def settings_of(scheduler: Any) -> set[tuple[str, str]]:
    return {(name, repr(value)) for name, value in scheduler.config.items() if not name.startswith("_")}


@pytest.mark.parametrize("key", SAMPLERS)
def test_each_is_the_scheduler_that_a_user_of_diffusers_writes(key: str) -> None:
    """Of a model of its own kind, which is where it is taken from, and of one that was taught flow matching."""
    usual, flow = DDIMScheduler(beta_schedule="scaled_linear"), FlowMatchEulerDiscreteScheduler(shift=3.0)
    recipe = Recipe(sampler=key, seed=7)
    for own, marked in [(usual, {}), (flow, {"prediction_type": FLOW})][: 2 if SAMPLERS[key].flow_class else 1]:
        ours = scheduler_for(recipe, {**own.config, **marked})
        theirs = written(recipe, type(own).__name__, own.config)
        assert type(ours) is type(theirs) and settings_of(theirs) <= settings_of(ours)
    assert set(WRITTEN) == set(SAMPLERS) and set(OF_FLOW) == set(FLOW_SAMPLERS)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_calls_are_those_that_diffusers_makes(engine: LocalEngine, sampler: Sampler) -> None:
    for steps in {sampler.fewest_steps, 3, 20, sampler.most_steps}:
        recipe = Recipe(sampler=sampler.key, num_inference_steps=steps)
        assert len(scheduler_for(recipe, engine.facts.schedule).timesteps) == sampler.calls(steps), steps


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_adds_noise_says_whether_a_step_draws_from_the_generator(engine: LocalEngine, sampler: Sampler) -> None:
    trajectory = Trajectory(Recipe(sampler=sampler.key, num_inference_steps=4, guidance_scale=1), engine.model)
    drawn = trajectory.generator.get_state()
    trajectory.model_input()
    advance_together([trajectory], [[torch.zeros_like(trajectory.latents)]])
    untouched = torch.equal(drawn, trajectory.generator.get_state())
    assert untouched == (sampler.brownian_noise or not sampler.adds_noise)


@pytest.mark.parametrize("sampler", [s for s in SAMPLERS.values() if s.brownian_noise], ids=lambda s: s.key)
def test_brownian_noise_comes_from_the_recipes_seed(engine: LocalEngine, sampler: Sampler) -> None:
    def after_a_step(seed: int) -> torch.Tensor:
        trajectory = Trajectory(Recipe(sampler=sampler.key, num_inference_steps=4, seed=seed), engine.model)
        trajectory.latents = torch.zeros_like(trajectory.latents)  # so that only the step's own noise is left
        for _ in range(2):
            trajectory.model_input()
            advance_together([trajectory], [[torch.zeros_like(trajectory.latents)] * 2])
        return trajectory.latents

    assert torch.equal(after_a_step(1), after_a_step(1)) and not torch.equal(after_a_step(1), after_a_step(2))
    assert after_a_step(1).std() > 0.1


def test_every_row_teaches() -> None:
    for sampler in SAMPLERS.values():
        assert sampler.sentence.endswith(".") and sampler.paper.startswith("https://arxiv.org/abs/")
        assert sampler.fewest_steps <= sampler.usual_steps[0] < sampler.usual_steps[1] <= sampler.most_steps


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_the_longest_run_stays_inside_the_schedule(engine: LocalEngine, sampler: Sampler) -> None:
    trajectory = Trajectory(Recipe(sampler=sampler.key, num_inference_steps=sampler.most_steps), engine.model)
    assert float(trajectory.scheduler.timesteps.max()) <= 999
    trajectory.model_input()
    advance_together([trajectory], [[torch.zeros_like(trajectory.latents)] * 2])
