"""Stable Diffusion 3 and 3.5: a transformer for words and picture together, taught flow matching (Esser et al. 2024,
https://arxiv.org/abs/2403.03206)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from playground.models.contract import TEXT, Condition
from playground.models.facts import usual_recipe
from playground.models.families.base import Family, stacked
from playground.models.families.clip import most_skipped
from playground.recipe import Recipe

POOLED = "pooled_projections"
T5_TOKENS = 256  # the pipeline's max_sequence_length


class StableDiffusion3(Family):
    title = "Stable Diffusion 3"
    patch = 2
    reader = "CLIP"
    besides = f"T5 reads up to {T5_TOKENS} tokens of its own."
    pooled = True

    @property
    def clip_skips(self) -> int:
        return most_skipped(self.pipeline.text_encoder, self.pipeline.text_encoder_2)

    @torch.inference_mode()
    def encoded(self, words: str, negative: bool = False, clip_skip: int = 0) -> Condition:
        text, _, pooled, _ = self.pipeline.encode_prompt(
            words, None, None, do_classifier_free_guidance=False, device=self.device, clip_skip=clip_skip or None
        )
        return {TEXT: text, POOLED: pooled}

    def inputs(self, latents: Tensor, t: Tensor, conditions: Sequence[Condition]) -> dict[str, Any]:
        return {
            "hidden_states": latents,
            "timestep": t,
            TEXT: stacked(conditions, TEXT),
            POOLED: stacked(conditions, POOLED),
        }

    def usual(self, name: str, schedule: dict[str, Any]) -> Recipe:
        return usual_recipe(name, self.side, sampler="euler", num_inference_steps=28, guidance_scale=7.0)
