"""One run as a film: what the network sees and what it answers at every call, and the noise level it stands at."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers import DDIMScheduler, PNDMScheduler
from PIL import Image
from torch import Tensor

from playground.engine import Engine, Result
from playground.engine.trajectory import Trajectory
from playground.inside.network import as_noise, ask, clock
from playground.inside.on_device import on_device
from playground.models import LatentModel
from playground.recipe import Recipe
from playground.samplers import SAMPLERS

LONGEST = 120  # seconds of one film, so that one visitor cannot hold the machine
MOST_FRAMES = 60  # kept as pictures; of longer runs every n-th
LARGEST = 256  # pixels per side of a film's pictures; models with larger ones are shown reduced
NOISE_RANGE = 3.0  # ε in [−3, 3] is drawn as 0 … 255; 0.3 % of N(0, 1) lies outside
DIFFERENCE_GAIN = 4  # ε_c − ε_u is drawn that many times stronger, at every step of every run


@dataclass(frozen=True)
class Level:
    """Where a run stands between two network calls. σ² = (1−ᾱ)/ᾱ (Karras et al. 2022, arxiv.org/abs/2206.00364)."""

    t: float | None  # the timestep that the next call is told; None at the end
    sigma: float  # noise over signal, √((1−ᾱ)/ᾱ)

    @property
    def log_snr(self) -> float:
        """ln(ᾱ/(1−ᾱ)), infinite where no noise is left"""
        return -2 * math.log(self.sigma) if self.sigma else math.inf

    @property
    def signal(self) -> float:
        """√ᾱ"""
        return (1 + self.sigma**2) ** -0.5

    @property
    def noise(self) -> float:
        """√(1−ᾱ)"""
        return self.sigma * self.signal


@dataclass(frozen=True, eq=False)
class Frame:
    """A run after k network calls, and what the next call answers. Tensors are (1, 4, h, w), fp32, on the CPU."""

    k: int  # calls made so far, 0 … of−1
    of: int  # calls in all; a step of a second-order sampler is two
    level: Level
    next_level: Level
    x_t: Tensor  # √ᾱ x₀ + √(1−ᾱ) ε: what the network sees, also of samplers that keep x₀ + σ ε
    x0: Tensor  # x̂₀ that follows from eps
    eps: Tensor  # ε_θ that the sampler goes on with: guided where the recipe is, else eps_cond
    eps_cond: Tensor
    eps_uncond: Tensor  # for the negative prompt, which may be empty
    guidance_scale: float
    guided: bool  # False: the run has no unconditional pass, and eps_uncond was computed for showing only
    pictures: Mapping[str, Image.Image] | None = None  # of kept frames (see `kept_every`): what `drawn` makes of it

    @property
    def t(self) -> float:
        return self.level.t or 0.0

    @property
    def sigma(self) -> float:
        return self.level.sigma

    @property
    def log_snr(self) -> float:
        return self.level.log_snr

    @property
    def step_sigma(self) -> float:
        """Δσ to the next level; 0 where a second-order sampler looks twice at one level"""
        return self.next_level.sigma - self.level.sigma

    def clean(self, eps: Tensor) -> Tensor:
        """ε (1, 4, h, w) -> the x̂₀ = (x_t − √(1−ᾱ) ε) / √ᾱ that it would leave of this x_t"""
        return (self.x_t - self.level.noise * eps) / self.level.signal


@dataclass(frozen=True, eq=False)
class Ending:
    """The run is over: its latents decoded by the real VAE."""

    of: int
    level: Level
    result: Result  # seconds: this film's network calls and decoding


def levels(recipe: Recipe, schedule: Mapping[str, Any]) -> tuple[Level, ...]:
    """The noise level at each call, and after the last one. Asks no network.

    `schedule` is the model's scheduler config. Raises ValueError where the sampler would leave the schedule.
    """
    scheduler = SAMPLERS[recipe.sampler].make(schedule)
    scheduler.set_timesteps(recipe.num_inference_steps)
    timesteps = [float(t) for t in scheduler.timesteps]
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is None:
        alpha_bar = scheduler.alphas_cumprod
        if max(timesteps) >= len(alpha_bar):
            raise ValueError(
                f"num_inference_steps is too high for {recipe.sampler}: it would start at t = {max(timesteps):.0f}, "
                f"and the schedule ends at {len(alpha_bar) - 1}."
            )
        # DDIM and PLMS stop at the schedule's first level; DDPM and LCM end on their predicted x₀ itself
        stops = isinstance(scheduler, DDIMScheduler | PNDMScheduler)
        last = scheduler.final_alpha_cumprod if stops else torch.tensor(1.0)
        sigmas = [_sigma(alpha_bar[int(t)]) for t in timesteps] + [_sigma(last)]
    elif hasattr(scheduler, "mid_point_sigma"):  # every second call of DPM++ SDE looks half-way, in log σ
        sigmas = [float(s) for s in sigmas]
        sigmas[1:-1:2] = [(a * b) ** 0.5 for a, b in zip(sigmas[0:-2:2], sigmas[1:-1:2], strict=True)]
    return tuple(Level(t, float(s)) for t, s in zip([*timesteps, None], sigmas, strict=True))


def steps_taken(recipe: Recipe, calls: int) -> int:
    """How many steps are complete after so many network calls. Heun's steps take two; PLMS makes its first twice."""
    sampler = SAMPLERS[recipe.sampler]
    if calls == sampler.calls(recipe.num_inference_steps):
        return recipe.num_inference_steps
    return max(0, calls - max(0, sampler.extra_calls)) // sampler.order


def check(engine: Engine, recipes: Sequence[Recipe]) -> None:
    """Raises ValueError, before anything runs, for another model's recipe, for LoRAs that it does not have or cannot
    use, and for films that would take too long."""
    for recipe in recipes:
        if recipe.model != engine.model.name:
            raise ValueError(
                f"model must be {engine.model.name}, which is what this playground runs, not {recipe.model[:40]!r}."
            )
        engine.model.loras.check(recipe.loras)
        levels(recipe, engine.model.scheduler_config)
    seconds = engine.estimate([_filmed(recipe) for recipe in recipes])
    if seconds is not None and seconds > LONGEST:
        raise ValueError(f"This film would take about {seconds:.0f} s here; the limit is {LONGEST}. Use fewer steps.")


def _filmed(recipe: Recipe) -> Recipe:
    """What a film of the recipe costs: an unguided run is filmed with both passes, see Frame.guided."""
    return recipe if recipe.guided else recipe.replace(guidance_scale=2.0)


@on_device(evaluations=lambda recipe: _filmed(recipe).evaluations)
def film(engine: Engine, recipe: Recipe) -> Iterator[Frame | Ending]:
    """A Frame for every network call as it comes, then the Ending, whose picture is that of `engine.render(recipe)`.

    The model is lent for one call at a time, so other visitors' grids go on in between. Raises FloatingPointError
    where the latents become infinite.
    """
    stands = levels(recipe, engine.model.scheduler_config)
    milliseconds = 0.0
    with engine.between_ticks() as model:
        trajectory = Trajectory(recipe, model)
    while not trajectory.finished:
        with engine.between_ticks() as model:
            begun = clock(model.device)
            frame = _call(model, trajectory, stands[trajectory.k], stands[trajectory.k + 1])
            milliseconds += clock(model.device) - begun
        if frame.k % kept_every(frame.of) == 0:
            with engine.between_ticks() as model:
                frame = replace(frame, pictures=drawn(model, frame))
        yield frame
    with engine.between_ticks() as model:
        begun = clock(model.device)
        image = model.decode(trajectory.latents)[0]
        milliseconds += clock(model.device) - begun
    latents = trajectory.latents.cpu().clone()
    result = Result(image, recipe, milliseconds / 1000, recipe.evaluations, x0=latents)
    yield Ending(trajectory.of, stands[-1], result)


@on_device(evaluations=lambda recipes: sum(_filmed(recipe).evaluations for recipe in recipes))
def films(engine: Engine, recipes: Sequence[Recipe]) -> Iterator[tuple[int, Frame | Ending]]:
    """(run, shot) of several films; always the run goes on that is furthest behind, by its share of calls."""
    rolling = {i: film(engine, recipe) for i, recipe in enumerate(recipes)}
    share = dict.fromkeys(rolling, 0.0)
    while rolling:
        i = min(rolling, key=share.__getitem__)
        shot = next(rolling[i])
        if isinstance(shot, Ending):
            del rolling[i]
        else:
            share[i] = (shot.k + 1) / shot.of
        yield i, shot


def kept_every(of: int) -> int:
    """n: of a run of so many calls, frames 0, n, 2n … are kept as pictures"""
    return -(-of // MOST_FRAMES)


@torch.inference_mode()
def drawn(model: LatentModel, frame: Frame) -> dict[str, Image.Image]:
    """A frame -> its pictures by name. x_t and the three x̂₀ are quick previews; ε are latent channels as colours."""
    latents = torch.cat([frame.x_t, frame.x0, frame.clean(frame.eps_cond), frame.clean(frame.eps_uncond)])
    decoded = [_reduced(picture) for picture in model.preview(latents.to(model.device))]
    return dict(zip(("x_t", "x0", "x0_cond", "x0_uncond"), decoded, strict=True)) | {
        "eps": noise_picture(frame.eps),
        "eps_cond": noise_picture(frame.eps_cond),
        "eps_uncond": noise_picture(frame.eps_uncond),
        "difference": noise_picture((frame.eps_cond - frame.eps_uncond) * DIFFERENCE_GAIN),
    }


@torch.inference_mode()
def noise_picture(eps: Tensor) -> Image.Image:
    """ε (1, C, h, w) -> h × w pixels: channels 1 to 3 as red, green, blue, ±NOISE_RANGE clipped. Nothing is decoded."""
    channels = eps[0, :3] if eps.shape[1] >= 3 else eps[0, :1].expand(3, -1, -1)
    levels_ = ((channels / NOISE_RANGE).clamp(-1, 1) + 1).mul(127.5).round().byte()
    return Image.fromarray(levels_.permute(1, 2, 0).contiguous().numpy())


@torch.inference_mode()
def _call(model: LatentModel, trajectory: Trajectory, level: Level, next_level: Level) -> Frame:
    """One network call of the run, with the unconditional pass also where the run has none."""
    recipe, k = trajectory.recipe, trajectory.k
    seen, asked = trajectory.model_input(), trajectory.texts()
    texts = asked if recipe.guided else [recipe.negative_prompt, *asked]
    outputs = ask(model, seen, trajectory.timestep, texts, recipe.loras).split(1)
    trajectory.advance(list(outputs[-len(asked) :]))
    uncond, cond = (as_noise(seen, x, level.signal, level.noise, model.prediction_type) for x in outputs)
    eps = uncond + recipe.guidance_scale * (cond - uncond) if recipe.guided else cond
    seen, x0, eps, cond, uncond = (x.float().cpu().clone() for x in (seen, trajectory.x0, eps, cond, uncond))
    return Frame(k, trajectory.of, level, next_level, seen, x0, eps, cond, uncond, recipe.guidance_scale, recipe.guided)


def _sigma(alpha_bar: Tensor) -> float:
    return float(((1 - alpha_bar) / alpha_bar) ** 0.5)


def _reduced(picture: Image.Image) -> Image.Image:
    picture.thumbnail((LARGEST, LARGEST))
    return picture
