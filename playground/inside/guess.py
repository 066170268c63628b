"""Let the model guess: from a picture's own x_t back to a picture, as image-to-image does it.

The same start, order of draws, scheduler calls and guidance as diffusers' StableDiffusionImg2ImgPipeline; SDEdit, Meng
et al. 2021, https://arxiv.org/abs/2108.01073.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from playground.engine import Engine
from playground.engine.trajectory import predicted_x0
from playground.inside.film import Level, levels
from playground.inside.network import ask
from playground.inside.on_device import on_device
from playground.inside.prediction import check_timestep, draw_noise
from playground.recipe import Recipe
from playground.samplers import SAMPLERS

STEPS_LIMIT = 100  # of one guess: each step is a call of the network, and everybody waits between two of them


@dataclass(frozen=True, eq=False)
class Frame:
    """A guess on its way. Frame 0 is the x_t it starts from; the last one is its result."""

    k: int  # network calls done, 0 … of
    of: int
    t: float  # timestep of x_t; 0 for the result
    x_t: Tensor  # (1, C, h, w), on the scale x_t = √ᾱ x₀ + √(1−ᾱ) ε whatever the sampler's own scale
    x0: Tensor | None  # x̂₀ predicted from the frame before; None for frame 0
    picture: Image.Image | None = None  # of x_t: a quick preview where one was asked for, the VAE's for the result
    predicted: Image.Image | None = None  # of x̂₀: a quick preview where one of the frame before was asked for


@dataclass(frozen=True)
class Plan:
    """Where a guess starts and what it takes; the timesteps are those of StableDiffusionImg2ImgPipeline."""

    start: float  # the timestep it starts at: the largest one its schedule visits that is not above the asked t
    steps: int  # steps it takes, of num_inference_steps
    strength: float  # the `strength` that makes StableDiffusionImg2ImgPipeline take the same steps, 0 … 1
    levels: tuple[Level, ...]  # those it visits, and the one it ends at, whose t is None

    @property
    def timesteps(self) -> tuple[float, ...]:
        """One for each network call, falling; a sampler of second order visits most of them twice."""
        return tuple(level.t for level in self.levels if level.t is not None)


def plan(engine: Engine, recipe: Recipe, t: int) -> Plan:
    """Where a guess from x_t would start and what it takes; ValueError for a bad t or when nothing is left to do."""
    return _planned(engine, recipe, t)[1]


def _planned(engine: Engine, recipe: Recipe, t: int) -> tuple[Any, Plan, int]:
    """-> a fresh scheduler with its timesteps set, the plan, and the index of the first timestep to visit"""
    t, n = check_timestep(engine.model, t), recipe.num_inference_steps
    if n > STEPS_LIMIT:
        raise ValueError(f"num_inference_steps must be at most {STEPS_LIMIT} here.")
    stands = levels(recipe, engine.model.scheduler_config)
    scheduler = SAMPLERS[recipe.sampler].make(engine.model.scheduler_config, recipe.seed)
    scheduler.set_timesteps(n, device="cpu")  # where the engine keeps them as well: no step waits for the device
    for skipped in range(n):  # steps of the whole schedule that are left out; the pipeline's `t_start`
        begin = skipped * scheduler.order
        start = float(scheduler.timesteps[begin])
        if start <= t:
            # The pipeline takes int(n · strength) steps; the half keeps that clear of float rounding.
            strength = min(1.0, (n - skipped + 0.5) / n)
            return scheduler, Plan(start, n - skipped, strength, stands[begin:]), begin
    raise ValueError(
        f"t = {t} lies below {float(scheduler.timesteps[-1]):g}, the last timestep of this sampler with {n} steps; "
        "choose a larger t."
    )


def forward(x0: Tensor, recipe: Recipe, stands: Collection[Level]) -> Tensor:
    """x₀ (1, C, h, w), n levels -> x_t (n, C, h, w) with the guess's own ε; x₀ itself at the end, before any noise."""
    epsilon = draw_noise(x0, recipe.seed)[0]
    return torch.cat([x0 if at.t is None else at.signal * x0 + at.noise * epsilon for at in stands])


@on_device(evaluations=lambda x0, recipe, t, shown=(): recipe.evaluations)
def guess(engine: Engine, x0: Tensor, recipe: Recipe, t: int, shown: Collection[int] = ()) -> Iterator[Frame]:
    """Noise x₀ to the plan's start with the recipe's seed, then denoise it with the recipe: image-to-image.

    Yields frame 0 at once and one frame per network call. `shown`: the k whose x_t, and the x̂₀ that follows from it,
    come with quick previews. Raises ValueError for a bad t and where the latents become infinite.
    """
    scheduler, found, begin = _planned(engine, recipe, t)
    device, kind = engine.model.device, engine.model.prediction_type
    timesteps = scheduler.timesteps[begin:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    generator = torch.Generator("cpu").manual_seed(recipe.seed)
    epsilon = torch.randn(x0.shape, generator=generator)
    latents = scheduler.add_noise(x0, epsilon, timesteps[:1]).to(device)
    options = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    texts = [recipe.negative_prompt, recipe.prompt] if recipe.guided else [recipe.prompt]

    x0_hat, predicted = None, None
    for k, timestep in enumerate(timesteps):
        with torch.inference_mode():
            x_t = scheduler.scale_model_input(latents, timestep)
        picture = _preview(engine, x_t) if k in shown else None
        yield Frame(k, len(timesteps), float(timestep), x_t.cpu(), x0_hat, picture, predicted)
        with engine.between_ticks() as model:
            outputs = ask(model, x_t, timestep, texts, recipe.loras)
        with torch.inference_mode():
            output = outputs[-1:]
            if recipe.guided:
                output = outputs[:1] + recipe.guidance_scale * (outputs[1:] - outputs[:1])
            x0_hat = predicted_x0(x_t, output, found.levels[k].sigma, kind).cpu()
            latents = scheduler.step(output, timestep, latents, **options, return_dict=False)[0]
        if not torch.isfinite(latents).all():
            raise ValueError("The latents became infinite, so there is no picture; try a lower guidance scale.")
        predicted = _preview(engine, x0_hat) if k in shown else None
    with engine.between_ticks() as model:
        picture = model.decode(latents)[0]
    yield Frame(len(timesteps), len(timesteps), 0.0, latents.cpu(), x0_hat, picture, predicted)


def _preview(engine: Engine, latents: Tensor) -> Image.Image:
    with engine.between_ticks() as model:
        return model.preview(latents.to(model.device))[0]
