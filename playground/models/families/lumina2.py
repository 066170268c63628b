"""Lumina Image 2.0: one transformer over words and picture, read by Gemma 2 (Qin et al. 2025,
https://arxiv.org/abs/2503.21758)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from playground.models.contract import TEXT, Condition
from playground.models.facts import usual_recipe
from playground.models.families.base import Family, stacked
from playground.models.words import template_sizes
from playground.recipe import Recipe

MASK = "encoder_attention_mask"


class Lumina2(Family):
    title = "Lumina Image 2.0"
    patch = 2
    own_negative = True  # only a prompt is put behind the pipeline's instruction

    @property
    def tokens(self) -> int:
        return 256 - self.around  # the pipeline's max_sequence_length

    @property
    def around(self) -> int:
        pipeline = self.pipeline
        before, _ = template_sizes(pipeline.tokenizer, lambda words: f"{pipeline.system_prompt} <Prompt Start> {words}")
        return before - len(pipeline.tokenizer("").input_ids)  # whose mark at the start is the prompt's own

    @torch.inference_mode()
    def encoded(self, words: str, negative: bool = False) -> Condition:
        if negative:
            text, mask = self.pipeline._get_gemma_prompt_embeds(words, device=self.device)
        else:
            text, mask, _, _ = self.pipeline.encode_prompt(words, do_classifier_free_guidance=False, device=self.device)
        return {TEXT: text, MASK: mask}

    def inputs(self, latents: Tensor, t: Tensor, conditions: Sequence[Condition]) -> dict[str, Any]:
        """The network counts time the other way: 0 is noise, 1 the picture."""
        return {
            "hidden_states": latents,
            "timestep": 1 - t / 1000,
            TEXT: stacked(conditions, TEXT),
            MASK: stacked(conditions, MASK),
        }

    def output(self, answer: Tensor, latents: Tensor) -> Tensor:
        """It answers x₀ − ε."""
        return -answer

    def combine(self, unconditional: Tensor, conditional: Tensor, recipe: Recipe) -> Tensor:
        """Guided, and as long as without it, along the last dimension, as the pipeline does it."""
        guided = super().combine(unconditional, conditional, recipe)
        return guided * (conditional.norm(dim=-1, keepdim=True) / guided.norm(dim=-1, keepdim=True))

    def usual(self, name: str, schedule: dict[str, Any]) -> Recipe:
        return usual_recipe(name, self.side, sampler="euler", num_inference_steps=30, guidance_scale=4.0)

    def without_numbers(self) -> Condition:
        found = super().without_numbers()
        return found | {MASK: found[MASK].as_subclass(_Whole)}

    def schedule(self, config: dict[str, Any], scheduler: str) -> dict[str, Any]:
        """Where the shift is dynamic, the pipeline takes the number of channels for the number of tokens."""
        told = {"_even": True, "_even_unipc": True, "_tokens": self.channels}
        return super().schedule(config, scheduler) | told


class _Whole(Tensor):
    """A mask without numbers, on the meta device, of a text that takes all tokens: the network asks for how many."""

    def sum(self, dim: int) -> Tensor:
        return torch.full(self.shape[:1], self.shape[1])
