"""PixArt-α and Σ: a diffusion transformer with cross-attention to T5's words (Chen et al. 2023,
https://arxiv.org/abs/2310.00426)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from playground.models.contract import TEXT, Condition
from playground.models.facts import CALL, usual_recipe
from playground.models.families.base import Family, stacked
from playground.recipe import Recipe

MASK = "encoder_attention_mask"
LENGTHS = {"PixArtAlphaPipeline": 120, "PixArtSigmaPipeline": 300}  # the pipelines' max_sequence_length
TOLD_SIZES = 128  # latents per side from which α is told resolution and aspect ratio


class PixArt(Family):
    title = "PixArt"
    call = CALL | {"use_resolution_binning": "False", "clean_caption": "False"}  # sizes and words as asked
    patch = 2
    flows = False
    no_attention = "This transformer's cross-attention leaves out padding by a mask and is not looked into here yet."

    @property
    def tokens(self) -> int:
        return LENGTHS[type(self.pipeline).__name__]

    @torch.inference_mode()
    def encoded(self, words: str, negative: bool = False) -> Condition:
        text, mask, _, _ = self.pipeline.encode_prompt(words, do_classifier_free_guidance=False, device=self.device)
        return {TEXT: text, MASK: mask}

    def inputs(self, latents: Tensor, t: Tensor, conditions: Sequence[Condition]) -> dict[str, Any]:
        sizes = {"resolution": None, "aspect_ratio": None}
        if self.network.config.sample_size == TOLD_SIZES and self.tokens == LENGTHS["PixArtAlphaPipeline"]:
            height, width = (side * self.scale for side in latents.shape[2:])
            told = {"resolution": [height, width], "aspect_ratio": [height / width]}
            here = {"device": latents.device, "dtype": self.dtype}
            sizes = {name: torch.tensor([values], **here).expand(len(latents), -1) for name, values in told.items()}
        return {
            "hidden_states": latents,
            TEXT: stacked(conditions, TEXT),
            MASK: stacked(conditions, MASK),
            "timestep": t,
            "added_cond_kwargs": sizes,
        }

    def output(self, answer: Tensor, latents: Tensor) -> Tensor:
        """The second half of the channels, where there is one, is a variance that no sampler here uses."""
        return answer[:, : latents.shape[1]]

    def usual(self, name: str, schedule: dict[str, Any]) -> Recipe:
        return usual_recipe(name, self.side, sampler="dpmpp_2m", num_inference_steps=20, guidance_scale=4.5)
