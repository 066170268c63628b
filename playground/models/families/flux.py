"""Flux.1 dev and schnell: latents packed into tokens, and a guidance scale that the network is told instead of asking
twice (Black Forest Labs 2024, https://github.com/black-forest-labs/flux)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from playground.models.contract import TEXT, Condition
from playground.models.facts import CALL, usual_recipe
from playground.models.families.base import Family, stacked
from playground.recipe import Recipe

POOLED = "pooled_projections"
SIDE = 1024  # pixels; no config says it


class Flux(Family):
    title = "Flux.1"
    patch = 2
    cfg = "true_cfg_scale"
    pooled = True
    call = CALL | {"true_cfg_scale": "{0.true_cfg_scale!r}"}
    token_mark, reader = "tokenizer_2", "T5"  # CLIP gives only one vector for the whole prompt

    @property
    def tokens(self) -> int:
        return 512  # the pipeline's max_sequence_length

    @property
    def besides(self) -> str:
        length = self.pipeline.tokenizer.model_max_length
        return f"CLIP reads up to {length} tokens of its own, for one vector of the whole prompt."

    @torch.inference_mode()
    def encoded(self, words: str, negative: bool = False) -> Condition:
        text, pooled, _ = self.pipeline.encode_prompt(words, None, device=self.device)
        return {TEXT: text, POOLED: pooled}

    def inputs(self, latents: Tensor, t: Tensor, conditions: Sequence[Condition]) -> dict[str, Any]:
        rows, columns = (side // 2 for side in latents.shape[2:])
        text, here = stacked(conditions, TEXT), {"device": latents.device, "dtype": self.dtype}
        given = {
            "hidden_states": self.pipeline._pack_latents(latents, *latents.shape),
            "timestep": t.to(self.dtype) / 1000,
            "guidance": None,
            POOLED: stacked(conditions, POOLED),
            TEXT: text,
            "txt_ids": torch.zeros(text.shape[1], 3, **here),
            "img_ids": self.pipeline._prepare_latent_image_ids(len(latents), rows, columns, **here),
        }
        return given | ({"guidance": stacked(conditions, "guidance")} if "guidance" in conditions[0] else {})

    def output(self, answer: Tensor, latents: Tensor) -> Tensor:
        """(B, tokens, 4 C) -> (B, C, h, w)"""
        height, width = (side * self.scale for side in latents.shape[2:])
        return self.pipeline._unpack_latents(answer, height, width, self.scale)

    def guidance(self, schedule: dict[str, Any]) -> str:
        return "embedded" if self.network.config.guidance_embeds else "none"

    def usual(self, name: str, schedule: dict[str, Any]) -> Recipe:
        if self.guidance(schedule) == "none":
            return usual_recipe(name, SIDE, sampler="euler", num_inference_steps=4, guidance_scale=0.0)
        return usual_recipe(name, SIDE, sampler="euler", num_inference_steps=28, guidance_scale=3.5)

    @property
    def channels(self) -> int:
        return self.network.config.in_channels // 4  # four latents are one token

    def schedule(self, config: dict[str, Any], scheduler: str) -> dict[str, Any]:
        return super().schedule(config, scheduler) | {"_even": True}
