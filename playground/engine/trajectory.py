"""One recipe on its way from noise to latents: its own latents, scheduler state and random generator."""

import inspect

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from playground.models import LatentModel
from playground.recipe import Recipe
from playground.samplers import SAMPLERS


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
    """Same noise, same scheduler and same order of draws as StableDiffusionPipeline with this recipe."""

    def __init__(self, recipe: Recipe, model: LatentModel) -> None:
        self.recipe, self._model = recipe, model
        self.scheduler = SAMPLERS[recipe.sampler].make(model.scheduler_config)
        self.scheduler.set_timesteps(recipe.num_inference_steps, device=model.device)
        self.generator = torch.Generator("cpu").manual_seed(recipe.seed)
        shape = model.latent_shape(recipe.width, recipe.height)
        noise = randn_tensor(shape, generator=self.generator, device=model.device, dtype=torch.float32)
        self.latents = noise * self.scheduler.init_noise_sigma
        self.k, self.of = 0, len(self.scheduler.timesteps)
        self.x0: Tensor | None = None  # predicted, after the latest step
        self.seconds, self.shared = 0.0, 0
        accepted = inspect.signature(self.scheduler.step).parameters
        self._step_options = {"generator": self.generator} if "generator" in accepted else {}
        self._input: Tensor | None = None

    @property
    def finished(self) -> bool:
        return self.k == self.of

    @property
    def timestep(self) -> Tensor:
        return self.scheduler.timesteps[self.k]

    def texts(self) -> list[str]:
        """The texts the network is asked with at each step: negative first, when guided."""
        return [self.recipe.negative_prompt, self.recipe.prompt] if self.recipe.guided else [self.recipe.prompt]

    @torch.inference_mode()
    def model_input(self) -> Tensor:
        """(1, 4, h, w) as the network must see it at the current timestep"""
        self._input = self.scheduler.scale_model_input(self.latents, self.timestep)
        return self._input

    @torch.inference_mode()
    def advance(self, outputs: list[Tensor]) -> None:
        """Take the predictions for `texts()`, in order, and make one scheduler step."""
        output = outputs[0]
        if self.recipe.guided:
            unconditional, conditional = outputs
            output = unconditional + self.recipe.guidance_scale * (conditional - unconditional)
        sigma = self._sigma()
        self.x0 = predicted_x0(self._input, output, sigma, self._model.prediction_type)
        self.latents = self.scheduler.step(
            output, self.timestep, self.latents, **self._step_options, return_dict=False
        )[0]
        self.k += 1
        if not torch.isfinite(self.latents).all():
            raise FloatingPointError("The latents became infinite, so there is no picture; try a lower guidance scale.")

    def _sigma(self) -> float:
        """Noise over signal, √((1−ᾱ)/ᾱ), of the current model input."""
        sigmas = getattr(self.scheduler, "sigmas", None)
        index = getattr(self.scheduler, "step_index", None)
        if sigmas is not None and index is not None:
            return float(sigmas[index])
        if sigmas is not None and len(sigmas) > self.of:  # the first call, before a step has set the index
            return float(sigmas[0])
        alpha_bar = float(self.scheduler.alphas_cumprod[int(self.timestep)])
        return ((1 - alpha_bar) / alpha_bar) ** 0.5
