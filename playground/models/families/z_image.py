"""Z-Image and Z-Image Turbo: words and picture as one stream of tokens, read by Qwen 3 (Z-Image Team 2025,
https://arxiv.org/abs/2511.22699)."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.models.transformers.transformer_z_image import SEQ_MULTI_OF
from torch import Tensor

from playground.models.contract import TEXT, Condition
from playground.models.facts import usual_recipe
from playground.models.families.base import Family
from playground.models.words import chat_sizes
from playground.recipe import Recipe

SIDE = 1024  # pixels; no config says it
SHIFT_OF_TURBO = 3.0  # of its schedule; that of the model with guidance is 6


class ZImage(Family):
    title = "Z-Image"
    patch = 2
    guided_above = 0.0

    @property
    def tokens(self) -> int:
        return 512 - self._template[0]  # the pipeline's max_sequence_length

    @property
    def around(self) -> int:
        return sum(self._template)

    @property
    def _template(self) -> tuple[int, int]:
        """Tokens that the chat around a prompt takes before and after it."""
        return chat_sizes(self.pipeline.tokenizer, thinking=True)

    @torch.inference_mode()
    def encoded(self, words: str, negative: bool = False) -> Condition:
        (text,), _ = self.pipeline.encode_prompt([words], do_classifier_free_guidance=False, device=self.device)
        return {TEXT: text[None]}  # as many tokens as the text has

    def inputs(self, latents: Tensor, t: Tensor, conditions: Sequence[Condition]) -> dict[str, Any]:
        """The network takes lists, each row of its own length, and counts time the other way: 1 is the picture."""
        return {
            "x": list(latents.unsqueeze(2).unbind(0)),
            "t": (1000 - t) / 1000,
            "cap_feats": [condition[TEXT][0] for condition in conditions],
        }

    def joined(self, given: dict[str, Any]) -> dict[str, list[int]]:
        """Both embedders come before rows are padded to one length; each is filled up to whole multiples there."""
        lengths = {
            "all_x_embedder": [x[0].numel() // self.patch**2 for x in given["x"]],
            "cap_embedder": [len(text) for text in given["cap_feats"]],
        }
        return {part: [-(-n // SEQ_MULTI_OF) * SEQ_MULTI_OF for n in each] for part, each in lengths.items()}

    def output(self, answer: list[Tensor], latents: Tensor) -> Tensor:
        """It answers x₀ − ε."""
        return -torch.stack(answer).squeeze(2)

    def combine(self, unconditional: Tensor, conditional: Tensor, recipe: Recipe) -> Tensor:
        """Its scale counts from the prompt's answer, so 0 is without guidance."""
        return conditional + recipe.guidance_scale * (conditional - unconditional)

    def guidance(self, schedule: dict[str, Any]) -> str:
        """Nothing but the shift of its schedule tells Turbo, which was distilled to draw without."""
        return "none" if schedule.get("shift") == SHIFT_OF_TURBO else "classifier-free"

    def samplers(self, schedule: dict[str, Any]) -> tuple[str, ...]:
        return ("euler",)  # its pipeline hands every scheduler a list of σ, which no other one takes

    def usual(self, name: str, schedule: dict[str, Any]) -> Recipe:
        if self.guidance(schedule) == "none":
            return usual_recipe(name, SIDE, sampler="euler", num_inference_steps=9, guidance_scale=0.0)
        return usual_recipe(name, SIDE, sampler="euler", num_inference_steps=50, guidance_scale=5.0)

    def schedule(self, config: dict[str, Any], scheduler: str) -> dict[str, Any]:
        return super().schedule(config, scheduler) | {"_even": True}
