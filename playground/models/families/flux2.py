"""Flux.2 klein: latents that are patches already, words read by Qwen 3 (Black Forest Labs 2026,
https://github.com/black-forest-labs/flux2)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from playground.models.contract import TEXT, Condition
from playground.models.facts import CALL, usual_recipe
from playground.models.families.base import Family, stacked
from playground.models.loading import Loaded
from playground.models.words import chat_sizes
from playground.recipe import Recipe


class Flux2Klein(Family):
    title = "Flux.2 klein"
    call = {
        "guidance_scale": CALL["guidance_scale"],
        "negative_prompt_embeds": "pipe.encode_prompt({0.negative_prompt!r})[0]",  # as words it takes none
    }

    def prepare(self, loaded: Loaded) -> None:
        vae = loaded.pipeline.vae  # which may be away when its statistics are asked for
        self._found = vae.bn.running_mean.float(), torch.sqrt(vae.bn.running_var.float() + vae.config.batch_norm_eps)

    @property
    def cfg(self) -> str:
        """The distilled one has no classifier-free guidance at all."""
        return "" if self.pipeline.config.is_distilled else "guidance_scale"

    @property
    def tokens(self) -> int:
        return self.pipeline.tokenizer_max_length - self._template[0]

    @property
    def around(self) -> int:
        return sum(self._template)

    @property
    def _template(self) -> tuple[int, int]:
        """Tokens that the chat around a prompt takes before and after it."""
        return chat_sizes(self.pipeline.tokenizer, thinking=False)

    @torch.inference_mode()
    def encoded(self, words: str, negative: bool = False) -> Condition:
        text, _ = self.pipeline.encode_prompt(words, device=self.device)
        return {TEXT: text}

    def inputs(self, latents: Tensor, t: Tensor, conditions: Sequence[Condition]) -> dict[str, Any]:
        text = stacked(conditions, TEXT)
        return {
            "hidden_states": self.pipeline._pack_latents(latents),
            "timestep": t.to(self.dtype) / 1000,
            "guidance": None,
            TEXT: text,
            "txt_ids": self.pipeline._prepare_text_ids(text).to(latents.device),
            "img_ids": self.pipeline._prepare_latent_ids(latents).to(latents.device),
        }

    def output(self, answer: Tensor, latents: Tensor) -> Tensor:
        """(B, tokens, C) -> (B, C, h, w)"""
        return answer.transpose(1, 2).reshape(latents.shape)

    def unscaled(self, latents: Tensor) -> Tensor:
        """(B, 4 C, h, w) -> (B, C, 2 h, 2 w), by the VAE's own statistics"""
        mean, std = self._statistics(latents.device)
        return self.pipeline._unpatchify_latents(latents * std + mean)

    def scaled(self, latents: Tensor) -> Tensor:
        mean, std = self._statistics(latents.device)
        return (self.pipeline._patchify_latents(latents) - mean) / std

    def guidance(self, schedule: dict[str, Any]) -> str:
        return "classifier-free" if self.cfg else "none"

    def usual(self, name: str, schedule: dict[str, Any]) -> Recipe:
        steps, scale = (50, 4.0) if self.cfg else (4, 1.0)
        side = self.pipeline.default_sample_size * self.pipeline.vae_scale_factor
        return usual_recipe(name, side, sampler="euler", num_inference_steps=steps, guidance_scale=scale)

    def _statistics(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the patches, each (1, 4 C, 1, 1)."""
        return tuple(x.view(1, -1, 1, 1).to(device) for x in self._found)

    @property
    def scale(self) -> int:
        return 2 * self.pipeline.vae_scale_factor  # a patch of two by two latents is one here

    def schedule(self, config: dict[str, Any], scheduler: str) -> dict[str, Any]:
        return super().schedule(config, scheduler) | {"_even": True, "_mu": "empirical"}
