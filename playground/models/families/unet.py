"""What the families with a U-Net share: their rows in two precisions, by OpenVINO, under a ControlNet, looked into."""

import copy
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg
from PIL import Image
from torch import Tensor, nn

from playground.models.contract import TEXT, Condition, Look, Weights
from playground.models.control import ControlNet
from playground.models.families import sd_usual
from playground.models.families.base import Family, stacked
from playground.models.loading import Loaded
from playground.models.running.attention import cross_attention_layers
from playground.models.running.decoder import Decoder
from playground.models.running.device import PRECISIONS
from playground.models.running.unet import UNet
from playground.recipe import Recipe
from playground.schedule import total_timesteps


class UNetFamily(Family):
    """A `Family` whose denoiser is diffusers' UNet2DConditionModel, and its VAE an AutoencoderKL."""

    denoiser = "unet"
    half = torch.float16
    reads_weights = True
    rescales = True
    flows = False
    no_start = ""
    # of the schedule's timesteps: from there upwards a CPU network in bf16 leaves its rows to one in fp32; None: no row
    exact_from: ClassVar[float | None] = None

    def prepare(self, loaded: Loaded) -> None:
        self._early, self._converts = None, loaded.plan.converts
        if self.exact_from is not None and self.dtype is torch.bfloat16 and self.device.type == "cpu":
            again = loaded.read.get("unet")  # a single file is read as it is
            early = again(dtype=torch.float32) if again else copy.deepcopy(loaded.pipeline.unet)
            self._early = early.to(torch.float32, memory_format=torch.channels_last).eval()
        for part in (loaded.pipeline.unet, loaded.pipeline.vae):
            part.to(memory_format=torch.channels_last)

    def complete(self) -> None:
        self._unet = UNet(self.unet, self.device, self.dtype, self.lora_files, self._early, self._exact_timestep)
        self._decoder = Decoder(self.vae, self.device)

    # --- what it says of them all -------------------------------------------------------------------------------------

    @property
    def unet(self) -> nn.Module:
        return self.network

    @property
    def _exact_timestep(self) -> float:
        steps = total_timesteps(self.pipeline.scheduler.config)
        return math.inf if self.exact_from is None else self.exact_from * steps

    @property
    def says_precision(self) -> str:
        said = PRECISIONS[self.dtype]
        return f"{said}, fp32 for t ≥ {self._exact_timestep:g}" if self._early is not None else said

    @property
    def changes(self) -> list[float]:
        return [self.exact_from] if self.exact_from is not None and self.dtype is torch.bfloat16 else []

    @property
    def no_attention(self) -> str:
        return "" if cross_attention_layers(self.unet) else "This model has no cross-attention layers."

    def guidance(self, schedule: dict[str, Any]) -> str:
        return "none" if sd_usual.is_turbo(schedule, type(self.pipeline.scheduler).__name__) else "classifier-free"

    def samplers(self, schedule: dict[str, Any]) -> tuple[str, ...]:
        return sd_usual.samplers(schedule)

    def told(self, latents: Tensor, conditions: Sequence[Condition]) -> Mapping[str, Tensor]:
        """What the U-Net is told besides latents, timesteps and words: its added_cond_kwargs, each (B, …)."""
        return {}

    def inputs(self, latents: Tensor, t: Tensor, conditions: Sequence[Condition]) -> dict[str, Any]:
        told = self.told(latents, conditions)
        text = stacked(conditions, TEXT).to(latents.dtype)
        return {"sample": latents, "timestep": t, TEXT: text, "added_cond_kwargs": told or None}

    def without_numbers(self) -> Condition:
        """From the U-Net's config: on ZeroGPU no text can be encoded at the start."""
        return {TEXT: torch.empty(1, self.tokens, self.unet.config.cross_attention_dim, device="meta")}

    # --- the Model ----------------------------------------------------------------------------------------------------

    def predict(
        self, latents: Tensor, t: Tensor, conditions: Sequence[Condition], loras: Sequence[Weights] | None = None
    ) -> Tensor:
        return self._unet(latents, t, conditions, self.told(latents, conditions), loras)[0]

    def predict_and_look(
        self, latents: Tensor, t: Tensor, conditions: Sequence[Condition], loras: Sequence[Weights] | None = None
    ) -> tuple[Tensor, list[Look]]:
        return self._unet(latents, t, conditions, self.told(latents, conditions), loras, look=True)

    def combine(self, unconditional: Tensor, conditional: Tensor, recipe: Recipe) -> Tensor:
        """Rescaled where that is asked, Lin et al. 2023, https://arxiv.org/abs/2305.08891, section 3.4."""
        guided = super().combine(unconditional, conditional, recipe)
        if not recipe.guidance_rescale:
            return guided
        return rescale_noise_cfg(guided, conditional, guidance_rescale=recipe.guidance_rescale)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> list[Image.Image]:
        pixels = self._decoder(self.unscaled(latents))
        return self.pipeline.image_processor.postprocess(pixels, output_type="pil")

    def attach_control(self, folder: Path) -> None:
        dtype = torch.float32 if self.device.type == "cpu" else self.dtype
        control = self._unet.control = ControlNet(folder, self.unet, self.scale, self.device, dtype)
        self.facts = replace(self.facts, controlnet=control.name, controlnet_digest=control.digest)

    @property
    def runtime(self) -> str:
        return self._unet.runtime

    def convert(self) -> None:
        if self._converts:
            self._unet.convert(self.facts.fingerprint)
            self._decoder.convert(self.facts.fingerprint)

    def wait_until_converted(self, seconds: float | None = None) -> None:
        until = None if seconds is None else time.monotonic() + seconds
        self._unet.wait_until_converted(seconds)
        self._decoder.wait_until_converted(None if until is None else max(0.0, until - time.monotonic()))
