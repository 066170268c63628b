"""The engine: the pictures of plain diffusers, alone or among others, and nothing lost when something stops."""

import random
import time

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from playground import Recipe, Sweep
from playground.engine import Done, Failed, LocalEngine, Result, Start, Step
from playground.engine.local import RESTARTED
from playground.engine.trajectory import Trajectory, advance_together
from playground.models import REGISTERED
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from tests.engine.support import before_each_call, counted
from tests.reference import TOLERANCE, largest_difference, plain


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline.from_pretrained(REGISTERED["pocket"])
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def results(engine: LocalEngine, cells: list[Recipe]) -> list[Result]:
    found = {e.cell: e.result for e in engine.run(cells) if isinstance(e, Done)}
    return [found[i] for i in range(len(cells))]


def wait_until_idle(engine: LocalEngine) -> None:
    while engine.loop.busy:
        time.sleep(0.01)


def mixed_batch(seed: int, size: int) -> list[Recipe]:
    rng = random.Random(seed)
    return [
        Recipe(
            prompt=rng.choice(["cat, red background", "a car on a green background", ""]),
            negative_prompt=rng.choice(["", "blue background"]),
            sampler=rng.choice(sorted(SAMPLERS)),
            num_inference_steps=rng.randint(2, 9),
            guidance_scale=rng.choice([0.0, 1.0, 3.0, 7.5]),
            seed=rng.randrange(2**32),
        )
        for _ in range(size)
    ]


OF_EACH_SAMPLER = {
    key: Recipe(prompt="red apple, blue background", negative_prompt="cat", sampler=key, num_inference_steps=8, seed=5)
    for key in SAMPLERS
}


@pytest.fixture(scope="module")
def among(engine: LocalEngine, by_torch: LocalEngine) -> dict[str, dict[str, Result]]:
    """By runtime and sampler: the results of one batch, in which all of these stand between others."""
    cells = [*mixed_batch(1, 6), *OF_EACH_SAMPLER.values(), *mixed_batch(2, 6)]
    return {
        one.runtime: dict(zip(OF_EACH_SAMPLER, results(one, cells)[6:-6], strict=True)) for one in (engine, by_torch)
    }


@pytest.mark.parametrize("key", SAMPLERS)
def test_a_cell_is_the_picture_of_plain_diffusers_alone_and_among_others(
    engine: LocalEngine,
    by_torch: LocalEngine,
    among: dict[str, dict[str, Result]],
    pipeline: StableDiffusionPipeline,
    key: str,
) -> None:
    assert (engine.runtime, by_torch.runtime) == ("OpenVINO", "PyTorch")
    recipe = OF_EACH_SAMPLER[key]
    expected = plain(pipeline, recipe)
    assert expected.std() > 5  # a picture, not a flat field
    for one in (engine, by_torch):
        for found in (one.render(recipe), among[one.runtime][key]):
            assert found.recipe == recipe and largest_difference(found, expected) <= TOLERANCE


@settings(max_examples=12, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    recipe=st.builds(
        Recipe,
        prompt=st.sampled_from(["", "cat, red background", "a car on a green background", "two words\nand a line"]),
        negative_prompt=st.sampled_from(["", "blue background"]),
        sampler=st.sampled_from(sorted(SAMPLERS)),
        num_inference_steps=st.integers(2, 9),
        guidance_scale=st.floats(0, 12, allow_nan=False),
        seed=st.integers(0, 2**32 - 1),
    )
)
def test_any_recipe_is_the_picture_of_plain_diffusers(
    engine: LocalEngine, pipeline: StableDiffusionPipeline, recipe: Recipe
) -> None:
    assert largest_difference(engine.render(recipe), plain(pipeline, recipe)) <= TOLERANCE


def test_other_sizes_match_plain_diffusers_and_mix_with_the_usual_one(
    engine: LocalEngine, pipeline: StableDiffusionPipeline
) -> None:
    wide = Recipe(prompt="car", width=192, height=96, num_inference_steps=4, seed=2)
    small, large = results(engine, [wide.replace(width=128, height=128), wide])
    assert large.image.size == (192, 96) and small.image.size == (128, 128)
    assert largest_difference(large, plain(pipeline, wide)) <= TOLERANCE


@pytest.mark.parametrize("key", SAMPLERS)
def test_predicted_x0_is_the_closed_form_with_the_samplers_own_noise_level(engine: LocalEngine, key: str) -> None:
    """A state made of known x₀ and ε at the sampler's level must give back x₀ when the network answers ε."""
    trajectory = Trajectory(Recipe(sampler=key, num_inference_steps=6, guidance_scale=1), engine.model)
    x0 = torch.randn(trajectory.latents.shape, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(trajectory.latents.shape, generator=torch.Generator().manual_seed(2))
    for _ in range(trajectory.of):
        t = trajectory.timestep
        # diffusers itself says what a noisy sample at t is, on the sampler's own scale
        level = int(t) if key in {"ddpm", "ddim", "pndm", "lcm"} else t
        state = trajectory.scheduler.add_noise(x0, noise, torch.tensor([level]))
        if SAMPLERS[key].order == 2 and trajectory.k % 2:  # the second call's level, which add_noise does not know
            half_way = getattr(trajectory.scheduler, "mid_point_sigma", None)
            state = x0 + noise * (trajectory.scheduler.sigmas[trajectory.k] if half_way is None else half_way)
        trajectory.latents = state
        trajectory.model_input()
        advance_together([trajectory], [[noise]])
        assert torch.allclose(trajectory.x0, x0, atol=2e-3), trajectory.k


def test_every_step_of_every_cell_is_told_with_a_preview(engine: LocalEngine) -> None:
    cells = [Recipe(prompt="cat", sampler=s, num_inference_steps=4) for s in ("ddim", "heun", "pndm")]
    steps: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for event in engine.run(cells):
        if isinstance(event, Step):
            assert event.of == SAMPLERS[cells[event.cell].sampler].calls(4)
            if event.k == 1:
                assert event.preview is not None  # later ones as often as their share of the time allows
            if event.k == event.of:
                assert event.preview is None  # the picture itself comes next
            steps[event.cell].append(event.k)
    assert steps == {0: [1, 2, 3, 4], 1: [1, 2, 3, 4, 5, 6, 7], 2: [1, 2, 3, 4, 5]}


def test_evaluations_count_network_passes(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = counted(engine, monkeypatch)
    sweep = Sweep(Recipe(prompt="cat", num_inference_steps=5), {"guidance_scale": [1, 3, 5, 9]})
    found = results(engine, sweep.recipes())
    assert [r.evaluations for r in found] == [5, 10, 10, 10]
    # at the first step all four ask about the same noise: one conditional and one unconditional answer serve them
    assert sum(r.shared for r in found) == (4 + 3) - 2
    assert sum(rows) == sum(r.evaluations - r.shared for r in found)


def test_closing_stops_within_one_step(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(engine, monkeypatch)
    run = engine.run([Recipe(seed=s, num_inference_steps=500) for s in range(3)])
    while not (isinstance(event := next(run), Step) and event.k == 2):
        pass
    run.close()
    at_close = len(calls)
    wait_until_idle(engine)
    assert len(calls) <= at_close + 1


def test_one_failing_cell_does_not_take_the_others(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    real = engine.model.encode
    poison = {"poison": float("nan")}
    monkeypatch.setattr(
        engine.model,
        "encode",
        lambda text, **more: {name: x * poison.get(text, 1) for name, x in real(text, **more).items()},
    )
    events = list(engine.run([Recipe(prompt=p, num_inference_steps=3) for p in ("cat", "poison", "dog")]))
    failed = [e for e in events if isinstance(e, Failed)]
    assert [(e.cell, e.reason) for e in failed] == [
        (1, "The latents became infinite, so there is no picture; try a lower guidance scale.")
    ]
    assert sorted(e.cell for e in events if isinstance(e, Done)) == [0, 2]


def test_a_row_that_the_network_refuses_fails_alone(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is that goes wrong with it: a call is everybody's, and is made again row by row."""
    real = engine.model.encode
    narrow = {"poison": 100}
    monkeypatch.setattr(
        engine.model,
        "encode",
        lambda text, **more: {n: x[..., : narrow.get(text, 192)] for n, x in real(text, **more).items()},
    )
    events = list(engine.run([Recipe(prompt=p, num_inference_steps=3) for p in ("cat", "poison", "dog")]))
    (failed,) = [e for e in events if isinstance(e, Failed)]
    assert failed.cell == 1 and failed.reason != RESTARTED and "\n" not in failed.reason
    assert sorted(e.cell for e in events if isinstance(e, Done)) == [0, 2]


def test_a_run_from_a_picture_counts_the_passes_it_makes(engine: LocalEngine) -> None:
    recipe = Recipe(prompt="cat", sampler="ddim", num_inference_steps=10)
    x0 = engine.render(recipe).x0
    events = list(engine.run([recipe], start=Start(x0, 400)))
    calls = sum(isinstance(e, Step) for e in events)
    assert calls == 4 and events[-1].result.evaluations == 8


def test_a_picture_that_cannot_be_decoded_fails_alone(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    real, bad = engine.model.decode, engine.render(Recipe(prompt="cat", num_inference_steps=2)).x0

    def failing(latents: torch.Tensor) -> list:
        if any(torch.allclose(row, bad[0], atol=1e-3) for row in latents):
            raise RuntimeError("The decoder refused.\nA second line that nobody should read.")
        return real(latents)

    monkeypatch.setattr(engine.model, "decode", failing)
    events = list(engine.run([Recipe(prompt=p, num_inference_steps=2) for p in ("dog", "cat", "car")]))
    assert [(e.cell, e.reason) for e in events if isinstance(e, Failed)] == [(1, "The decoder refused.")]
    assert sorted(e.cell for e in events if isinstance(e, Done)) == [0, 2]


SHAPE = (1, 4, 16, 16)


def test_a_preview_that_fails_ends_nobodys_run(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = engine.model.preview, []

    def small(latents: torch.Tensor) -> list:
        asked.append(len(latents))
        if len(asked) % 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(latents)

    monkeypatch.setattr(engine.model, "preview", small)
    recipes = [Recipe(prompt="red apple, blue background", num_inference_steps=2, seed=s) for s in range(12)]
    events = list(engine.run(recipes))
    assert sum(isinstance(e, Done) for e in events) == 12
    assert max(asked) <= 8  # without a preview decoder this is the VAE, whose batches are bounded
    assert any(isinstance(e, Step) and e.preview is not None for e in events)


def test_out_of_memory_halves_the_batch_and_goes_on(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def limited(latents: torch.Tensor) -> None:
        sizes.append(len(latents))
        if len(latents) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    before_each_call(engine, monkeypatch, limited)
    monkeypatch.setitem(engine.loop.capacity.rows, SHAPE, 32)
    found = results(engine, [Recipe(prompt="cat", seed=s, num_inference_steps=2) for s in range(4)])
    assert len(found) == 4 and max(sizes) == 8 and sizes.count(8) == 1
    assert engine.loop.capacity(SHAPE) == 2  # kept for the next visitor


def test_a_cell_alone_too_large_fails_with_what_would_fit(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def limited(latents: torch.Tensor) -> None:
        if latents.shape[-1] > 16:
            raise torch.OutOfMemoryError("CUDA out of memory")

    before_each_call(engine, monkeypatch, limited)
    small = Recipe(num_inference_steps=2, guidance_scale=1)
    events = list(engine.run([small.replace(width=256, height=256), small]))
    assert [e.reason for e in events if isinstance(e, Failed)] == [
        "There is not enough memory for 256 × 256 pixels here; 128 × 128 fits."
    ]
    assert [e.cell for e in events if isinstance(e, Done)] == [1]


def test_previews_do_not_change_the_picture(engine: LocalEngine) -> None:
    recipe = Recipe(prompt="cat", sampler="euler_a", num_inference_steps=4)
    with_previews = [e.result for e in engine.run([recipe]) if isinstance(e, Done)][0]
    assert np.array_equal(np.asarray(with_previews.image), np.asarray(engine.render(recipe).image))


def test_a_model_that_is_not_there_is_named_in_one_sentence() -> None:
    from playground import open_engine

    with pytest.raises(Refusal, match="There is no model named 'nowhere'"):
        open_engine("nowhere")
