"""Stable Diffusion XL, Turbo and Lightning: two CLIP encoders, a U-Net that is also told sizes (Podell et al. 2023,
https://arxiv.org/abs/2307.01952)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from playground.models.contract import TEXT, Condition
from playground.models.facts import CALL, OR_NONE, usual_recipe
from playground.models.families.base import stacked
from playground.models.families.clip import most_skipped
from playground.models.families.unet import UNetFamily
from playground.models.weighted import WeighingCutter, rows_of, weighted
from playground.recipe import Recipe

POOLED = "text_embeds"


class StableDiffusionXL(UNetFamily):
    call = CALL | OR_NONE
    title = "Stable Diffusion XL"
    own_negative = pooled = True
    rescales_starts = True

    @property
    def clip_skips(self) -> int:
        return most_skipped(*self.text_encoders)

    @torch.inference_mode()
    def encoded(self, words: str, negative: bool = False, clip_skip: int = 0, chunks: int = 0) -> Condition:
        """An empty negative prompt is zeros where the pipeline's config says so, as it is where none is given."""
        if chunks:
            text, pooled = self._weighted(words, clip_skip, chunks)
        else:
            text, _, pooled, _ = self.pipeline.encode_prompt(
                words, do_classifier_free_guidance=False, device=self.device, clip_skip=clip_skip or None
            )
        if negative and not words and self.pipeline.config.force_zeros_for_empty_prompt:
            text, pooled = torch.zeros_like(text), torch.zeros_like(pooled)
        return {TEXT: text, POOLED: pooled}

    def _weighted(self, words: str, clip_skip: int, chunks: int) -> tuple[Tensor, Tensor]:
        """-> what both encoders say, side by side, and what the second says of the whole of the first chunk."""
        found, answer = [], None
        for cutter, encoder in zip((self.words, self._second), self.text_encoders, strict=True):
            cut = cutter(words, chunks)
            answer = encoder(rows_of(cut, self.device), output_hidden_states=True)
            found.append(weighted(answer.hidden_states[-(clip_skip + 2)], cut))
        return torch.cat(found, dim=-1), answer[0][:1]

    def _cutter(self) -> WeighingCutter:
        self._second = WeighingCutter(self.pipeline.tokenizer_2)
        return WeighingCutter(self.pipeline.tokenizer)

    def told(self, latents: Tensor, conditions: Sequence[Condition]) -> dict[str, Tensor]:
        height, width = (side * self.scale for side in latents.shape[2:])
        # original size, crop, target size, as the pipeline has them where nothing else is asked
        ids = torch.tensor([[height, width, 0, 0, height, width]], dtype=latents.dtype, device=latents.device)
        return {POOLED: stacked(conditions, POOLED), "time_ids": ids.expand(len(latents), -1)}

    def without_numbers(self) -> Condition:
        width = self.pipeline.text_encoder_2.config.projection_dim
        return super().without_numbers() | {POOLED: torch.empty(1, width, device="meta")}

    def unscaled(self, latents: Tensor) -> Tensor:
        config = self.vae.config
        if config.get("latents_mean") is None or config.get("latents_std") is None:
            return super().unscaled(latents)
        mean, std = (torch.tensor(config[n], device=latents.device).view(1, -1, 1, 1) for n in _STATISTICS)
        return latents * std / config.scaling_factor + mean

    def scaled(self, latents: Tensor) -> Tensor:
        config = self.vae.config
        if config.get("latents_mean") is None or config.get("latents_std") is None:
            return super().scaled(latents)
        mean, std = (torch.tensor(config[n], device=latents.device).view(1, -1, 1, 1) for n in _STATISTICS)
        return (latents - mean) * config.scaling_factor / std

    def usual(self, name: str, schedule: dict[str, Any]) -> Recipe:
        if self.guidance(schedule) == "none":
            return usual_recipe(name, self.side, sampler="euler", num_inference_steps=4, guidance_scale=0.0)
        if schedule.get("rescale_betas_zero_snr"):
            return usual_recipe(name, self.side, sampler="euler", num_inference_steps=30, guidance_rescale=0.7)
        return usual_recipe(name, self.side, sampler="dpmpp_2m_karras", num_inference_steps=30, guidance_scale=6.0)


_STATISTICS = ("latents_mean", "latents_std")
