"""Where a run stands between two calls of its network: t, signal and noise.

Samplers keep their state on two scales: variance-preserving, x_t = √ᾱ x₀ + √(1−ᾱ) ε, or Karras's x = x₀ + σ ε. What
the network sees is always signal · x₀ + noise · ε; on the second scale signal = 1/√(1+σ²) and noise = σ/√(1+σ²)
(Karras et al. 2022, https://arxiv.org/abs/2206.00364). Flow matching has a third, the straight line signal = 1 − σ,
noise = σ (Lipman et al. 2023, https://arxiv.org/abs/2210.02747). Everything here comes from diffusers' own schedulers;
no network is asked.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, PNDMScheduler
from torch import Tensor

from playground.answer import FLOW
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.samplers import SAMPLERS

# A model's scheduler config, as diffusers has it. Keys of flow models that start with "_" are what their pipeline does
# besides: "_even" (it asks for evenly spaced σ), "_even_unipc" (of UniPC too), "_token" (pixels per side of a token;
# how many there are decides the shift), "_tokens" (how many it takes there to be, whatever the size), "_mu"
# ("empirical": Flux.2's own shift).
Config = Mapping[str, Any]
STEPS_BACK = 100  # of a run that starts from a picture, so that nobody waits long for one


@dataclass(frozen=True)
class Level:
    """What the network is shown at one of its calls: signal · x₀ + noise · ε."""

    t: float | None  # the timestep that it is told; None at the end, where it is not asked any more
    signal: float  # √ᾱ; of flow models 1 − σ
    noise: float  # √(1−ᾱ); of flow models σ
    flow: bool = False  # whether the model was taught flow matching, whose σ is another

    @property
    def sigma(self) -> float:
        """Noise over signal, √((1−ᾱ)/ᾱ), infinite where no signal is left; of flow models the noise itself"""
        if self.flow:
            return self.noise
        return self.noise / self.signal if self.signal else math.inf

    @property
    def log_snr(self) -> float:
        """ln(signal²/noise²); infinite where no noise is left"""
        return 2 * (math.log(self.signal) - math.log(self.noise)) if self.signal and self.noise else self._limit

    @property
    def _limit(self) -> float:
        return math.inf if self.signal else -math.inf


@dataclass(frozen=True)
class Plan:
    """Where a run from a picture starts and what it takes, as StableDiffusionImg2ImgPipeline has it."""

    begin: int  # network calls of the whole run that are left out
    start: float  # the timestep it starts at: the largest one its schedule visits that is not above the asked t
    steps: int  # steps it takes, of num_inference_steps
    strength: float  # the `strength` that makes StableDiffusionImg2ImgPipeline take the same steps, 0 … 1
    levels: tuple[Level, ...]  # those it visits, and the one it ends at, whose t is None

    @property
    def timesteps(self) -> tuple[float, ...]:
        """One for each network call, falling; a sampler of second order visits most of them twice."""
        return tuple(level.t for level in self.levels if level.t is not None)


def scheduler_for(recipe: Recipe, config: Config) -> Any:
    """A fresh diffusers scheduler with the model's schedule, as `from_config` gives it to any diffusers user, its
    timesteps set.

    They stay on the CPU, where schedulers keep their sigmas: no step then waits for an accelerator. The seed goes only
    to samplers with Brownian noise: diffusers would otherwise draw it from an unseeded source, and two runs of one
    recipe would differ. With `noise_sampler_seed` equal to the seed plain diffusers draws the same noise.
    """
    name, changes = scheduler_class(recipe, config)
    scheduler = getattr(diffusers, name).from_config(config, **changes)
    given = _given_by_the_pipeline(recipe, config, name) if is_flow(config) else {}
    scheduler.set_timesteps(recipe.num_inference_steps, device="cpu", **given)
    return scheduler


def scheduler_class(recipe: Recipe, config: Config) -> tuple[str, dict[str, Any]]:
    """The name of its scheduler's class in diffusers, and what of its config is other than the model's own.

    Solvers that are not only for flow matching are told so. The shift moves the steps of such models towards noise:
    Esser et al. 2024, https://arxiv.org/abs/2403.03206, section 5.3.2.
    """
    sampler = SAMPLERS[recipe.sampler]
    if not is_flow(config):
        seeded = {"noise_sampler_seed": recipe.seed} if sampler.brownian_noise else {}
        return sampler.scheduler_class, {**sampler.config, **seeded}
    if not sampler.flow_class:
        raise Refusal(f"sampler must be one for flow matching for this model, not {recipe.sampler}.")
    shift = recipe.shift or config.get("shift", config.get("flow_shift", 1.0))
    if sampler.flow_class.startswith("FlowMatch"):
        return sampler.flow_class, {"shift": shift}
    return sampler.flow_class, {"use_flow_sigmas": True, "prediction_type": FLOW, "flow_shift": shift}


def _given_by_the_pipeline(recipe: Recipe, config: Config, scheduler_class: str) -> dict[str, Any]:
    """What pipelines of models taught flow matching tell their scheduler besides the number of steps: the shift where
    it depends on the size of the picture, and of some families σ."""
    given: dict[str, Any] = {}
    if config.get("use_dynamic_shifting"):
        given["mu"] = _mu(recipe, config)
    even = ["FlowMatchEulerDiscreteScheduler"] if config.get("_even") else []
    even += ["UniPCMultistepScheduler"] if config.get("_even_unipc") else []
    if scheduler_class in even:
        n = recipe.num_inference_steps
        given["sigmas"] = np.linspace(1.0, 1 / n, n)
    return given


def _mu(recipe: Recipe, config: Config) -> float:
    """The logarithm of the shift, linear in the number of tokens: `calculate_shift` of diffusers' flow pipelines; of
    Flux.2 its own formula, in which the number of steps counts too."""
    tokens = config.get("_tokens") or (recipe.width // config["_token"]) * (recipe.height // config["_token"])
    if config.get("_mu") == "empirical":
        from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu  # which needs its text encoder

        return compute_empirical_mu(tokens, recipe.num_inference_steps)
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return low + (high - low) * (tokens - few) / (many - few)


def levels(recipe: Recipe, config: Config) -> tuple[Level, ...]:
    """One for each call of the network, and the one after the last.

    Raises Refusal where the sampler would leave the schedule.
    """
    scheduler = scheduler_for(recipe, config)
    return levels_of(scheduler, recipe)[begin_of(scheduler, recipe) :]


def begin_of(scheduler: Any, recipe: Recipe) -> int:
    """Network calls of the whole run that are left out where it starts from the recipe's picture."""
    return (recipe.num_inference_steps - recipe.steps_run) * scheduler.order


def levels_of(scheduler: Any, recipe: Recipe) -> tuple[Level, ...]:
    """The same of a whole run, of a scheduler whose timesteps are set."""
    timesteps = [float(t) for t in scheduler.timesteps]
    sigmas = getattr(scheduler, "sigmas", None)
    flow = is_flow(scheduler.config)
    if flow:
        pairs = [(1 - s, s) for s in map(float, sigmas)]
    elif sigmas is None:
        pairs = _of_table(scheduler, timesteps, recipe)
    else:
        sigmas = [float(s) for s in sigmas]
        if hasattr(scheduler, "mid_point_sigma"):  # every second call of DPM++ SDE looks half-way, in log σ
            sigmas[1:-1:2] = [(a * b) ** 0.5 for a, b in zip(sigmas[0:-2:2], sigmas[1:-1:2], strict=True)]
        pairs = [(1 / math.hypot(1, s), s / math.hypot(1, s)) for s in sigmas]
    return tuple(Level(t, *pair, flow) for t, pair in zip([*timesteps, None], pairs, strict=True))


def _of_table(scheduler: Any, timesteps: list[float], recipe: Recipe) -> list[tuple[float, float]]:
    """(signal, noise) by the scheduler's table of ᾱ."""
    alphas = scheduler.alphas_cumprod
    if max(timesteps) >= len(alphas):
        raise Refusal(
            f"num_inference_steps is too high for {recipe.sampler}: it would start at t = {max(timesteps):.0f}, "
            f"and the schedule ends at {len(alphas) - 1}."
        )
    # DDIM and PLMS stop at the schedule's first level; DDPM and LCM end on their predicted x₀ itself
    stops = isinstance(scheduler, DDIMScheduler | PNDMScheduler)
    last = float(scheduler.final_alpha_cumprod) if stops else 1.0
    return [(a**0.5, (1 - a) ** 0.5) for a in [*(float(alphas[int(t)]) for t in timesteps), last]]


def steps_taken(recipe: Recipe, calls: int) -> int:
    """How many steps are complete after so many network calls. Heun's steps take two; PLMS makes its first twice."""
    sampler = SAMPLERS[recipe.sampler]
    if calls == recipe.calls:
        return recipe.steps_run
    return max(0, calls - max(0, sampler.extra_calls)) // sampler.order


def visited(recipe: Recipe, config: Config) -> list[float]:
    """The timesteps that the network is asked about, falling; each once, though second order asks at some twice."""
    return sorted({float(t) for t in scheduler_for(recipe, config).timesteps}, reverse=True)


def plan(recipe: Recipe, config: Config, t: object) -> Plan:
    """Where a run from a picture's own x_t would start and what it takes.

    Raises Refusal for a bad t, for too many steps, and where nothing is left to do.
    """
    t, n = check_timestep(config, t), recipe.num_inference_steps
    if n > STEPS_BACK:
        raise Refusal(f"num_inference_steps must be at most {STEPS_BACK} here.")
    scheduler = scheduler_for(recipe, config)
    stands = levels_of(scheduler, recipe)
    for skipped in range(n):  # steps of the whole schedule that are left out; the pipeline's `t_start`
        begin = skipped * scheduler.order
        start = float(scheduler.timesteps[begin])
        if start <= t:
            # The pipeline takes int(n · strength) steps; the half keeps that clear of float rounding.
            strength = min(1.0, (n - skipped + 0.5) / n)
            return Plan(begin, start, n - skipped, strength, stands[begin:])
    raise Refusal(
        f"t = {t} lies below {float(scheduler.timesteps[-1]):g}, the last timestep of this sampler with {n} steps; "
        "choose a larger t."
    )


def total_timesteps(config: Config) -> int:
    """T of the model's training schedule."""
    return int(config["num_train_timesteps"])


def is_flow(config: Config) -> bool:
    """Whether the model was taught flow matching, so that its schedule is the straight line."""
    return prediction_type(config) == FLOW


def check_timestep(config: Config, t: object) -> int:
    """t -> t as an int; Refusal unless it is a whole number in 0 … T−1 (bools and floats are refused)."""
    last = total_timesteps(config) - 1
    if isinstance(t, bool) or not isinstance(t, Integral) or not 0 <= t <= last:
        raise Refusal(f"t must be a whole number from 0 to {last}.")
    return int(t)


def alphas_cumprod(config: Config) -> Tensor:
    """ᾱ_t of the schedule that the model was trained with, (T,) float32; a copy that may be written into."""
    return _trained(_hashable(config)).alphas_cumprod.clone()


def betas(config: Config) -> Tensor:
    """β_t = 1 − ᾱ_t/ᾱ_{t−1} of the same schedule, (T,) float32; a copy as well."""
    return _trained(_hashable(config)).betas.clone()


def amplitudes(config: Config) -> tuple[Tensor, Tensor]:
    """(signal, noise) at every t = 0 … T−1 of the schedule that the model was trained with, each (T,) float32.

    Flow matching has no steps of its own: told t, the network takes σ to be t/T.
    """
    if is_flow(config):
        return straight_line(total_timesteps(config))
    alphas = alphas_cumprod(config)
    return alphas.sqrt(), (1 - alphas).sqrt()


def straight_line(total: int, first: int = 0) -> tuple[Tensor, Tensor]:
    """(signal, noise) of flow matching at T levels σ = first/T, (first+1)/T …, each (T,) float32; from 1 on the last of
    them is pure noise."""
    sigma = torch.arange(first, first + total) / total
    return 1 - sigma, sigma


def level_at(config: Config, t: int) -> Level:
    """The level of the model's own schedule at a whole timestep, 0 … T−1."""
    signal, noise = amplitudes(config)
    return Level(float(t), float(signal[t]), float(noise[t]), is_flow(config))


@lru_cache(8)
def _trained(config: tuple[tuple[str, Any], ...]) -> DDPMScheduler:
    return DDPMScheduler.from_config(dict(config))


def _hashable(config: Config) -> tuple[tuple[str, Any], ...]:
    """What of a config decides about ᾱ."""
    names = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas")
    names += ("rescale_betas_zero_snr",)
    found = {name: config[name] for name in names if config.get(name) is not None}
    return tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in found.items())


def prediction_type(config: Config) -> str:
    """What the network was taught to answer: epsilon, v_prediction, sample or flow_prediction."""
    return config.get("prediction_type", "epsilon")
