"""Sana: a transformer with linear attention over the latents of a deeper autoencoder, 32 pixels to one (Xie et al.
2024, https://arxiv.org/abs/2410.10629)."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from playground.models.contract import TEXT, Condition
from playground.models.facts import CALL, usual_recipe
from playground.models.families.base import Family, stacked
from playground.models.words import template_sizes
from playground.recipe import Recipe

MASK = "encoder_attention_mask"
MOST_TOKENS = 300  # the pipeline's max_sequence_length, two of which the start and the end of its instruction take


class Sana(Family):
    title = "Sana"
    call = CALL | {"use_resolution_binning": "False"}  # sizes as asked
    own_negative = True  # only a prompt is put behind the pipeline's instruction
    no_attention = "This transformer's cross-attention leaves out padding by a mask and is not looked into here yet."

    @property
    def multiple(self) -> int:
        return 32  # whatever its VAE's scale, as the pipeline checks it

    @property
    def tokens(self) -> int:
        return MOST_TOKENS - 2 + self._marks

    @property
    def around(self) -> int:
        before, _ = template_sizes(self.pipeline.tokenizer, lambda words: "\n".join(self._asked) + words)
        return before - self._marks  # at the start, which is the prompt's own

    @property
    def _marks(self) -> int:
        return len(self.pipeline.tokenizer("").input_ids)

    @property
    def _asked(self) -> list[str]:
        """What the pipeline tells its text encoder to do with a prompt."""
        return inspect.signature(type(self.pipeline).__call__).parameters["complex_human_instruction"].default

    @torch.inference_mode()
    def encoded(self, words: str, negative: bool = False) -> Condition:
        text, mask, _, _ = self.pipeline.encode_prompt(
            words,
            do_classifier_free_guidance=False,
            device=self.device,
            complex_human_instruction=None if negative else self._asked,
        )
        return {TEXT: text, MASK: mask}

    def inputs(self, latents: Tensor, t: Tensor, conditions: Sequence[Condition]) -> dict[str, Any]:
        return {
            "hidden_states": latents,
            "timestep": t * self.network.config.timestep_scale,
            TEXT: stacked(conditions, TEXT).to(self.dtype),
            MASK: stacked(conditions, MASK),
        }

    def usual(self, name: str, schedule: dict[str, Any]) -> Recipe:
        sampler = "euler" if "shift" in schedule else "dpmpp_2m"  # which of the two schedulers its folder names
        return usual_recipe(name, self.side, sampler=sampler, num_inference_steps=20, guidance_scale=4.5)

    def posterior_mode(self, encoded: Any) -> Tensor:
        """Its encoder answers with the latents themselves."""
        return encoded
