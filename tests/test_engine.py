"""The engine: the pictures of plain diffusers, alone or among others, and nothing lost when something stops."""

import random

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from playground import Recipe, Sweep
from playground.engine import Done, Engine, Failed, Result, Step
from playground.engine.trajectory import Trajectory, predicted_x0
from playground.models.latent import REGISTERED
from playground.samplers import SAMPLERS

TOLERANCE = 2  # of 255, the largest difference of any pixel


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline.from_pretrained(REGISTERED["pocket"])
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


SCHEDULE = DDIMScheduler.from_pretrained(REGISTERED["pocket"], subfolder="scheduler").config


def plain(pipeline: StableDiffusionPipeline, recipe: Recipe) -> np.ndarray:
    """The picture that a diffusers user gets."""
    pipeline.scheduler = SAMPLERS[recipe.sampler].make(SCHEDULE)
    picture = pipeline(
        recipe.prompt,
        negative_prompt=recipe.negative_prompt,
        num_inference_steps=recipe.num_inference_steps,
        guidance_scale=recipe.guidance_scale,
        width=recipe.width,
        height=recipe.height,
        generator=torch.Generator().manual_seed(recipe.seed),
    ).images[0]
    return np.asarray(picture).astype(int)


def largest_difference(result: Result, picture: np.ndarray) -> int:
    return int(np.abs(np.asarray(result.image).astype(int) - picture).max())


def results(engine: Engine, cells: list[Recipe]) -> list[Result]:
    found = {e.cell: e.result for e in engine.run(cells) if isinstance(e, Done)}
    return [found[i] for i in range(len(cells))]


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


@pytest.mark.parametrize("key", SAMPLERS)
def test_a_cell_is_the_picture_of_plain_diffusers_alone_and_among_others(
    engine: Engine, pipeline: StableDiffusionPipeline, key: str
) -> None:
    recipe = Recipe(
        prompt="red apple, blue background", negative_prompt="cat", sampler=key, num_inference_steps=8, seed=5
    )
    expected = plain(pipeline, recipe)
    assert expected.std() > 5  # a picture, not a flat field
    assert largest_difference(engine.render(recipe), expected) <= TOLERANCE
    among = results(engine, [*mixed_batch(1, 3), recipe, *mixed_batch(2, 3)])[3]
    assert largest_difference(among, expected) <= TOLERANCE


@pytest.mark.parametrize("recipe", mixed_batch(3, 4), ids=lambda r: r.digest()[:8])
def test_random_recipes_match_plain_diffusers(
    engine: Engine, pipeline: StableDiffusionPipeline, recipe: Recipe
) -> None:
    assert largest_difference(engine.render(recipe), plain(pipeline, recipe)) <= TOLERANCE


def test_other_sizes_match_plain_diffusers_and_mix_with_the_usual_one(
    engine: Engine, pipeline: StableDiffusionPipeline
) -> None:
    wide = Recipe(prompt="car", width=192, height=96, num_inference_steps=4, seed=2)
    small, large = results(engine, [wide.replace(width=128, height=128), wide])
    assert large.image.size == (192, 96) and small.image.size == (128, 128)
    assert largest_difference(large, plain(pipeline, wide)) <= TOLERANCE


@pytest.mark.parametrize("key", SAMPLERS)
def test_predicted_x0_is_the_closed_form_with_the_samplers_own_noise_level(engine: Engine, key: str) -> None:
    """A state made of known x₀ and ε at the sampler's level must give back x₀ when the network answers ε."""
    trajectory = Trajectory(Recipe(sampler=key, num_inference_steps=6, guidance_scale=1), engine.model)
    x0 = torch.randn(trajectory.latents.shape, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(trajectory.latents.shape, generator=torch.Generator().manual_seed(2))
    for _ in range(trajectory.of):
        t = trajectory.timestep
        # diffusers itself says what a noisy sample at t is, on the sampler's own scale
        level = int(t) if key in {"ddpm", "ddim", "pndm", "lcm"} else t
        state = trajectory.scheduler.add_noise(x0, noise, torch.tensor([level]))
        if key == "heun" and trajectory.k % 2:  # its second call looks at the next level; add_noise knows only t
            state = x0 + noise * trajectory.scheduler.sigmas[trajectory.k]
        trajectory.latents = state
        trajectory.model_input()
        trajectory.advance([noise])
        assert torch.allclose(trajectory.x0, x0, atol=2e-3), trajectory.k


def test_predicted_x0_for_velocity_models() -> None:
    x0, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    alpha_bar = 0.3
    sigma = ((1 - alpha_bar) / alpha_bar) ** 0.5
    noisy = alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * noise
    velocity = alpha_bar**0.5 * noise - (1 - alpha_bar) ** 0.5 * x0
    assert torch.allclose(predicted_x0(noisy, velocity, sigma, "v_prediction"), x0, atol=1e-5)
    assert torch.allclose(predicted_x0(noisy, noise, sigma, "epsilon"), x0, atol=1e-5)


def test_every_step_of_every_cell_is_told_with_a_preview(engine: Engine) -> None:
    cells = [Recipe(prompt="cat", sampler=s, num_inference_steps=4) for s in ("ddim", "heun", "pndm")]
    steps: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for event in engine.run(cells):
        if isinstance(event, Step):
            assert event.of == SAMPLERS[cells[event.cell].sampler].calls(4)
            assert (event.preview is None) == (event.k == event.of)
            steps[event.cell].append(event.k)
    assert steps == {0: [1, 2, 3, 4], 1: [1, 2, 3, 4, 5, 6, 7], 2: [1, 2, 3, 4, 5]}


def test_evaluations_count_network_passes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 0
    real = engine.model.unet.forward

    def counting(sample: torch.Tensor, *args: object, **kwargs: object) -> object:
        nonlocal rows
        rows += len(sample)
        return real(sample, *args, **kwargs)

    monkeypatch.setattr(engine.model.unet, "forward", counting)
    sweep = Sweep(Recipe(prompt="cat", num_inference_steps=5), {"guidance_scale": [1, 3, 5, 9]})
    found = results(engine, sweep.recipes())
    assert [r.evaluations for r in found] == [5, 10, 10, 10]
    # at the first step all four ask about the same noise: one conditional and one unconditional answer serve them
    assert sum(r.shared for r in found) == (4 + 3) - 2
    assert rows == sum(r.evaluations - r.shared for r in found)


def test_closing_stops_within_one_step(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    real = engine.model.unet.forward

    def counting(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        return real(*args, **kwargs)

    monkeypatch.setattr(engine.model.unet, "forward", counting)
    run = engine.run([Recipe(seed=s, num_inference_steps=50) for s in range(3)])
    while not (isinstance(event := next(run), Step) and event.k == 2):
        pass
    run.close()
    assert calls == 2


def test_one_failing_cell_does_not_take_the_others(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Trajectory.advance

    def poisoned(self: Trajectory, outputs: list[torch.Tensor]) -> None:
        real(self, [o * float("nan") for o in outputs] if self.recipe.seed == 13 and self.k == 1 else outputs)

    monkeypatch.setattr(Trajectory, "advance", poisoned)
    events = list(engine.run([Recipe(seed=s, num_inference_steps=3) for s in (12, 13, 14)]))
    failed = [e for e in events if isinstance(e, Failed)]
    assert [(e.cell, e.reason) for e in failed] == [
        (1, "The latents became infinite, so there is no picture; try a lower guidance scale.")
    ]
    assert sorted(e.cell for e in events if isinstance(e, Done)) == [0, 2]


def test_out_of_memory_halves_the_batch_and_goes_on(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    real, sizes = engine.model.unet.forward, []

    def limited(sample: torch.Tensor, *args: object, **kwargs: object) -> object:
        sizes.append(len(sample))
        if len(sample) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(sample, *args, **kwargs)

    monkeypatch.setattr(engine.model.unet, "forward", limited)
    monkeypatch.setattr(engine, "_most_rows", 32)
    found = results(engine, [Recipe(prompt="cat", seed=s, num_inference_steps=2) for s in range(4)])
    assert len(found) == 4 and max(sizes) == 8 and sizes.count(8) == 1


def test_a_cell_alone_too_large_fails_with_a_sentence(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **kwargs: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(engine.model.unet, "forward", never)
    monkeypatch.setattr(engine, "_most_rows", 4)
    events = list(engine.run([Recipe(num_inference_steps=2, guidance_scale=1)]))
    assert [e.reason for e in events if isinstance(e, Failed)] == [
        "There is not enough memory for a picture of this size."
    ]


def test_previews_do_not_change_the_picture(engine: Engine) -> None:
    recipe = Recipe(prompt="cat", sampler="euler_a", num_inference_steps=4)
    with_previews = [e.result for e in engine.run([recipe]) if isinstance(e, Done)][0]
    assert np.array_equal(np.asarray(with_previews.image), np.asarray(engine.render(recipe).image))


def test_a_model_that_is_not_there_is_named_in_one_sentence() -> None:
    from playground import open_engine

    with pytest.raises(ValueError, match="There is no model named 'nowhere'"):
        open_engine("nowhere")
