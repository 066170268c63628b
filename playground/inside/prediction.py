"""What the model learns: to name the noise. ε, ε_θ, the loss between them, and where following ε_θ leads.

L = ‖ε − ε_θ(x_t, t, text)‖² averaged over the values of ε: Ho et al. 2020, equation 14, arxiv.org/abs/2006.11239
x̂₀ = (x_t − √(1−ᾱ_t) · ε_θ) / √ᾱ_t: the same paper, equation 15.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from playground.engine import Engine
from playground.engine.trajectory import predicted_x0
from playground.inside.latent_noise import alphas_cumprod, noised
from playground.models import LatentModel
from playground.recipe import Recipe
from playground.samplers import SAMPLERS

STEPS_LIMIT = 100  # of one guess: each step is a call of the network, and everybody waits between two of them


@dataclass(frozen=True, eq=False)
class Prediction:
    """One question to the network and its answer. Tensors are (1, C, h, w) float32 on the CPU."""

    t: int  # timestep, 0 … T−1
    alpha_bar: float  # ᾱ_t of the model's own schedule
    x_t: Tensor  # what the network sees: √ᾱ_t · x₀ + √(1−ᾱ_t) · ε
    epsilon: Tensor  # ε, the noise that was added
    predicted: Tensor  # ε_θ, the noise the network names
    x0: Tensor  # x̂₀: x_t less the named noise, at full amplitude again
    loss: float  # mean (ε − ε_θ)²

    @property
    def signal(self) -> float:
        """√ᾱ_t"""
        return self.alpha_bar**0.5

    @property
    def noise(self) -> float:
        """√(1−ᾱ_t)"""
        return (1 - self.alpha_bar) ** 0.5

    @property
    def loss_of_zero(self) -> float:
        """mean ε²: the loss of a network that always answers 0."""
        return mean_square(self.epsilon)


@dataclass(frozen=True, eq=False)
class Frame:
    """A guess on its way. Frame 0 is the x_t it starts from; the last one is its result."""

    k: int  # network calls done, 0 … of
    of: int
    t: float  # timestep of x_t; 0 for the result
    x_t: Tensor  # (1, C, h, w), on the scale x_t = √ᾱ x₀ + √(1−ᾱ) ε whatever the sampler's own scale
    x0: Tensor | None  # x̂₀ predicted from the frame before; None for frame 0


@dataclass(frozen=True)
class Plan:
    """Where a guess starts and what it takes; the timesteps are those of StableDiffusionImg2ImgPipeline."""

    start: float  # the timestep it starts at: the largest one its schedule visits that is not above the asked t
    steps: int  # steps it takes, of num_inference_steps
    strength: float  # the `strength` that makes StableDiffusionImg2ImgPipeline take the same steps, 0 … 1
    timesteps: tuple[float, ...]  # those it visits, falling


def total_timesteps(model: LatentModel) -> int:
    """T of the model's training schedule."""
    return int(model.scheduler_config["num_train_timesteps"])


def check_timestep(model: LatentModel, t: object) -> int:
    """t -> t as an int; ValueError unless it is a whole number in 0 … T−1 (bools and floats are refused)."""
    last = total_timesteps(model) - 1
    if isinstance(t, bool) or not isinstance(t, Integral) or not 0 <= t <= last:
        raise ValueError(f"t must be a whole number from 0 to {last}.")
    return int(t)


def mean_square(values: Tensor) -> float:
    """any shape -> mean of the squares"""
    return float(values.square().mean())


def draw_noise(x0: Tensor, seed: int, draws: int = 1) -> list[Tensor]:
    """`draws` times ε ~ N(0, 1) of x₀'s shape, one after the other from a CPU generator seeded once."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return [torch.randn(x0.shape, generator=generator) for _ in range(draws)]


def as_noise(x_t: Tensor, output: Tensor, alpha_bar: Tensor, prediction_type: str) -> Tensor:
    """The network's output -> ε_θ, also for networks that were taught to answer v or x₀; ᾱ broadcasts."""
    if prediction_type == "epsilon":
        return output
    if prediction_type == "v_prediction":  # Salimans & Ho 2022, https://arxiv.org/abs/2202.00512
        return alpha_bar.sqrt() * output + (1 - alpha_bar).sqrt() * x_t
    if prediction_type == "sample":
        return (x_t - alpha_bar.sqrt() * output) / (1 - alpha_bar).sqrt()
    raise ValueError(f"The model predicts {prediction_type!r}, which is not known here.")


def predict(engine: Engine, x0: Tensor, captions: Sequence[str], t: int, seed: int) -> list[Prediction]:
    """x₀ (1, C, h, w) -> one prediction per caption for the same x_t and ε, all in one call of the network.

    Raises ValueError for a bad t. The captions and the seed are the caller's to check (playground.recipe.Recipe).
    """
    t = check_timestep(engine.model, t)
    alphas = alphas_cumprod(engine.model)
    alpha_bar = alphas[t]
    if alpha_bar <= 0:
        raise ValueError(f"At t = {t} nothing of the picture is left in x_t, so there is nothing to subtract from.")
    epsilon = draw_noise(x0, seed)[0]
    x_t = noised(x0, epsilon, alphas, [t])
    predicted = _ask(engine, x_t.repeat(len(captions), 1, 1, 1), [t] * len(captions), list(captions), alphas)
    answers = []
    for answer in predicted.split(1):
        x0_hat = (x_t - (1 - alpha_bar).sqrt() * answer) / alpha_bar.sqrt()
        loss = mean_square(epsilon - answer)
        answers.append(Prediction(t, float(alpha_bar), x_t, epsilon, answer, x0_hat, loss))
    return answers


def losses(
    engine: Engine, x0: Tensor, captions: Sequence[str], timesteps: Sequence[int], seed: int, draws: int = 1
) -> Iterator[Tensor]:
    """L at every timestep for every caption -> after each draw of ε the mean so far, (captions, timesteps).

    All captions and timesteps of a draw share its ε, so the captions differ by nothing but the words. The first draw
    is the ε that `predict` shows. One call of the network per caption, others' work in between.
    """
    alphas = alphas_cumprod(engine.model)
    total = torch.zeros(len(captions), len(timesteps))
    for n, epsilon in enumerate(draw_noise(x0, seed, draws), start=1):
        x_t = noised(x0, epsilon, alphas, timesteps)
        rows = []
        for caption in captions:
            predicted = _ask(engine, x_t, timesteps, [caption] * len(timesteps), alphas)
            rows.append((predicted - epsilon).square().mean((1, 2, 3)))
        total = total + torch.stack(rows)
        yield total / n


def _ask(engine: Engine, x_t: Tensor, timesteps: Sequence[int], captions: Sequence[str], alphas: Tensor) -> Tensor:
    """x_t (B, C, h, w), B timesteps, B captions -> ε_θ (B, C, h, w) on the CPU, in one call of the network"""
    with engine.between_ticks() as model:
        text = torch.cat([model.encode(caption) for caption in captions])
        times = torch.tensor(timesteps, dtype=torch.float32, device=model.device)
        output = model.predict(x_t.to(model.device), times, text).cpu()
        kind = model.prediction_type
    return as_noise(x_t, output, alphas[torch.tensor(list(timesteps))].reshape(-1, 1, 1, 1), kind)


def plan(engine: Engine, recipe: Recipe, t: int) -> Plan:
    """Where a guess from x_t would start and what it takes; ValueError for a bad t or when nothing is left to do."""
    return _planned(engine, recipe, t)[1]


def _planned(engine: Engine, recipe: Recipe, t: int) -> tuple[object, Plan, int]:
    """-> a fresh scheduler with its timesteps set, the plan, and the index of the first timestep to visit"""
    t, n = check_timestep(engine.model, t), recipe.num_inference_steps
    if n > STEPS_LIMIT:
        raise ValueError(f"num_inference_steps must be at most {STEPS_LIMIT} here.")
    scheduler = SAMPLERS[recipe.sampler].make(engine.model.scheduler_config)
    scheduler.set_timesteps(n, device=engine.model.device)
    visited = [float(v) for v in scheduler.timesteps]
    for skipped in range(n):  # steps of the whole schedule that are left out; the pipeline's `t_start`
        begin = skipped * scheduler.order
        if visited[begin] <= t:
            # The pipeline takes int(n · strength) steps; the half keeps that clear of float rounding.
            strength = min(1.0, (n - skipped + 0.5) / n)
            return scheduler, Plan(visited[begin], n - skipped, strength, tuple(visited[begin:])), begin
    raise ValueError(
        f"t = {t} lies below {visited[-1]:g}, the last timestep of this sampler with {n} steps; choose a larger t."
    )


def guess(engine: Engine, x0: Tensor, recipe: Recipe, t: int) -> Iterator[Frame]:
    """Noise x₀ to the plan's start with the recipe's seed, then denoise it with the recipe: image-to-image.

    The same order of draws, scheduler calls and guidance as diffusers' StableDiffusionImg2ImgPipeline given these
    latents. Yields frame 0 at once and one frame per network call. Raises ValueError for a bad t.
    """
    scheduler, _, begin = _planned(engine, recipe, t)
    device, kind = engine.model.device, engine.model.prediction_type
    timesteps = scheduler.timesteps[begin:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    generator = torch.Generator("cpu").manual_seed(recipe.seed)
    epsilon = torch.randn(x0.shape, generator=generator)
    latents = scheduler.add_noise(x0.to(device), epsilon.to(device), timesteps[:1])
    accepted = inspect.signature(scheduler.step).parameters
    options = {"generator": generator} if "generator" in accepted else {}
    texts = [recipe.negative_prompt, recipe.prompt] if recipe.guided else [recipe.prompt]

    x0_hat = None
    for k, timestep in enumerate(timesteps):
        with torch.inference_mode():
            x_t = scheduler.scale_model_input(latents, timestep)
        yield Frame(k, len(timesteps), float(timestep), x_t.cpu(), x0_hat)
        with engine.between_ticks() as model:
            text = torch.cat([model.encode(words) for words in texts])
            outputs = model.predict(x_t.repeat(len(texts), 1, 1, 1), timestep.float().repeat(len(texts)), text)
        with torch.inference_mode():
            output = outputs[-1:]
            if recipe.guided:
                output = outputs[:1] + recipe.guidance_scale * (outputs[1:] - outputs[:1])
            x0_hat = predicted_x0(x_t, output, _sigma(scheduler, begin + k, timestep), kind).cpu()
            latents = scheduler.step(output, timestep, latents, **options, return_dict=False)[0]
        if not torch.isfinite(latents).all():
            raise ValueError("The latents became infinite, so there is no picture; try a lower guidance scale.")
    yield Frame(len(timesteps), len(timesteps), 0.0, latents.cpu(), x0_hat)


def _sigma(scheduler: object, index: int, timestep: Tensor) -> float:
    """Noise over signal, √((1−ᾱ)/ᾱ), of the input at this index of the scheduler's timesteps."""
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is not None:
        return float(sigmas[index])
    alpha_bar = float(scheduler.alphas_cumprod[int(timestep)])
    return ((1 - alpha_bar) / alpha_bar) ** 0.5
