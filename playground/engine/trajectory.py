"""One recipe on its way from noise to latents: its own latents, scheduler state and random generator."""

import hashlib
import inspect
import warnings

import torch
from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from playground.models import LatentModel
from playground.recipe import Recipe
from playground.samplers import SAMPLERS

# The tree is told its ends as fp32 and asked about them as fp64; it clamps by itself and says so at every picture.
warnings.filterwarnings("ignore", "Should have t", module="torchsde")


def predicted_x0(model_input: Tensor, output: Tensor, sigma: float, prediction_type: str) -> Tensor:
    """x̂₀ from what went into the network and what came out, the same for every sampler.

    Samplers keep their state on two scales: variance-preserving, x_t = √ᾱ x₀ + √(1−ᾱ) ε, or Karras's x = x₀ + σ ε.
    What the network sees is always the first, with ᾱ = 1 / (1 + σ²) (Karras et al. 2022,
    https://arxiv.org/abs/2206.00364), so for ε-prediction x̂₀ = √(1 + σ²) · input − σ · ε_θ.
    """
    alpha = (1 + sigma**2) ** -0.5  # √ᾱ
    if prediction_type == "epsilon":
        return model_input / alpha - sigma * output
    if prediction_type == "v_prediction":  # Salimans & Ho 2022, https://arxiv.org/abs/2202.00512
        return alpha * model_input - sigma * alpha * output
    if prediction_type == "sample":
        return output
    raise ValueError(f"The model predicts {prediction_type!r}, which is not known here.")


class Trajectory:
    """Same noise, same scheduler and same order of draws as StableDiffusionPipeline with this recipe.

    Raises ValueError for a LoRA that the model does not have or cannot use.
    """

    def __init__(self, recipe: Recipe, model: LatentModel) -> None:
        model.loras.check(recipe.loras)
        self.recipe, self.prediction_type = recipe, model.prediction_type
        sampler = SAMPLERS[recipe.sampler]
        self.scheduler = sampler.make(model.scheduler_config, recipe.seed)
        # Timesteps stay on the CPU, where the schedulers keep their sigmas: no step then waits for the device. The
        # network gets its own copy, uploaded once.
        self.scheduler.set_timesteps(recipe.num_inference_steps, device="cpu")
        self._timesteps_there = self.scheduler.timesteps.to(model.device, torch.float32)
        self.generator = torch.Generator("cpu").manual_seed(recipe.seed)
        shape = model.latent_shape(recipe.width, recipe.height)
        noise = randn_tensor(shape, generator=self.generator, dtype=torch.float32) * self.scheduler.init_noise_sigma
        self.k, self.of = 0, len(self.scheduler.timesteps)
        # Cells that begin alike are told by their first input as the CPU makes it, without asking the device.
        first = self.scheduler.scale_model_input(noise, self.timestep)
        self.first_input = hashlib.sha256(repr(shape).encode() + first.numpy().tobytes()).digest()
        self.latents = noise.to(model.device)
        if (
            sampler.brownian_noise
        ):  # made now, as the scheduler would at its first step, so that cells can step together
            sigmas = self.scheduler.sigmas[self.scheduler.sigmas > 0]
            self.scheduler.noise_sampler = BrownianTreeNoiseSampler(
                self.latents, sigmas.min(), sigmas.max(), recipe.seed
            )
        self.x0: Tensor | None = None  # predicted, after the latest step
        self.seconds, self.shared = 0.0, 0
        self.seen: Tensor | None = None  # the latest model input
        self._seen_at = -1  # the k it belongs to
        self.takes_generator = "generator" in inspect.signature(self.scheduler.step).parameters

    @property
    def finished(self) -> bool:
        return self.k == self.of

    @property
    def timestep(self) -> Tensor:
        """Of the next network call, a scalar on the CPU."""
        return self.scheduler.timesteps[self.k]

    @property
    def timestep_there(self) -> Tensor:
        """The same, in fp32 on the model's device."""
        return self._timesteps_there[self.k]

    def texts(self) -> list[str]:
        """The texts the network is asked with at each step: negative first, when guided."""
        return [self.recipe.negative_prompt, self.recipe.prompt] if self.recipe.guided else [self.recipe.prompt]

    @torch.inference_mode()
    def model_input(self) -> Tensor:
        """(1, 4, h, w) as the network must see it at the current timestep; computed once per call of the network"""
        if self._seen_at != self.k:
            self.seen, self._seen_at = self.scheduler.scale_model_input(self.latents, self.timestep), self.k
        return self.seen

    def advance(self, outputs: list[Tensor]) -> None:
        """Take the predictions for `texts()`, in order, each (1, 4, h, w), and make one scheduler step.

        Raises FloatingPointError where the latents become infinite.
        """
        advance_together([self], [outputs])
        check_finite(self)

    @property
    def sigma(self) -> float:
        """Noise over signal, √((1−ᾱ)/ᾱ), of the current model input."""
        midpoint = getattr(self.scheduler, "mid_point_sigma", None)
        if midpoint is not None:  # the second call of a DPM++ SDE step looks half-way
            return float(midpoint)
        sigmas = getattr(self.scheduler, "sigmas", None)
        index = getattr(self.scheduler, "step_index", None)
        if sigmas is not None and index is not None:
            return float(sigmas[index])
        if sigmas is not None and len(sigmas) > self.of:  # the first call, before a step has set the index
            return float(sigmas[0])
        alpha_bar = float(self.scheduler.alphas_cumprod[int(self.timestep)])
        return ((1 - alpha_bar) / alpha_bar) ** 0.5


def steps_together(trajectory: Trajectory) -> tuple:
    """Trajectories with an equal key are at the same point of the same schedule: one scheduler step serves all."""
    recipe = trajectory.recipe
    return recipe.sampler, recipe.num_inference_steps, trajectory.k, tuple(trajectory.latents.shape)


@torch.inference_mode()
def advance_together(group: list[Trajectory], outputs: list[list[Tensor]]) -> None:
    """One scheduler step for trajectories of one `steps_together` key; outputs[i] answers group[i].texts()."""
    first = group[0]
    guided = []
    for trajectory, answers in zip(group, outputs, strict=True):
        output = answers[-1]
        if trajectory.recipe.guided:
            output = answers[0] + trajectory.recipe.guidance_scale * (answers[1] - answers[0])
        guided.append(output)
    output = torch.cat(guided)
    x0 = predicted_x0(torch.cat([t.seen for t in group]), output, first.sigma, first.prediction_type)
    generators = {"generator": [t.generator for t in group]} if first.takes_generator else {}
    scheduler = _joined([t.scheduler for t in group])
    latents = torch.cat([t.latents for t in group])
    latents = scheduler.step(output, first.timestep, latents, **generators, return_dict=False)[0]
    _split(scheduler, [t.scheduler for t in group])
    for trajectory, x0_i, latents_i in zip(group, x0.split(1), latents.split(1), strict=True):
        trajectory.x0, trajectory.latents = x0_i, latents_i
        trajectory.k += 1


def check_finite(trajectory: Trajectory) -> None:
    """Raises FloatingPointError where there is no picture left. Reads the latents, so it waits for the device."""
    if not torch.isfinite(trajectory.latents).all():
        raise FloatingPointError("The latents became infinite, so there is no picture; try a lower guidance scale.")


class _Together:
    """The noise samplers of several cells, asked as one; every cell's noise comes from its own seed."""

    def __init__(self, samplers: list) -> None:
        self._samplers = samplers

    def __call__(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        return torch.cat([sampler(sigma, sigma_next) for sampler in self._samplers])


def _joined(schedulers: list):  # noqa: ANN202  (diffusers' schedulers share no useful base class)
    """One scheduler whose per-picture tensors (x₀ predictions, derivatives …) are those of all, stacked."""
    if len(schedulers) == 1:
        return schedulers[0]
    first = schedulers[0]
    together = first.__class__.__new__(first.__class__)
    for name, value in vars(first).items():
        if name == "noise_sampler" and value is not None:
            together.noise_sampler = _Together([s.noise_sampler for s in schedulers])
        else:
            vars(together)[name] = _stack([vars(s)[name] for s in schedulers])
    return together


def _stack(values: list):  # noqa: ANN202
    first = values[0]
    if isinstance(first, Tensor) and first.ndim == 4:
        return torch.cat(values)
    if isinstance(first, list):
        return [_stack([value[i] for value in values]) for i in range(len(first))]
    return first  # schedules, counters and settings are the same for all


def _split(together, schedulers: list) -> None:  # noqa: ANN001
    """Give every scheduler its part of the state back."""
    if len(schedulers) == 1:
        return
    for i, scheduler in enumerate(schedulers):
        own_noise = vars(scheduler).get("noise_sampler")
        for name, value in vars(together).items():
            vars(scheduler)[name] = own_noise if name == "noise_sampler" else _part(value, i)


def _part(value, i: int):  # noqa: ANN001, ANN202
    if isinstance(value, Tensor) and value.ndim == 4:
        return value[i : i + 1]
    if isinstance(value, list):
        return [_part(v, i) for v in value]
    return value
