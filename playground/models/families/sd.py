"""Stable Diffusion 1.x, 2.x and Turbo, and Pocket, which has their layout: text encoder, U-Net, VAE and schedule.

What StableDiffusionPipeline does with a recipe happens here in the same order with the same modules.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from playground.models.contract import TEXT, Condition
from playground.models.families import sd_usual
from playground.models.families.clip import most_skipped
from playground.models.families.unet import UNetFamily
from playground.models.running.device import default_dtype
from playground.models.weighted import WeighingCutter, rows_of, weighted
from playground.recipe import Recipe

PIXELS = 8  # StableDiffusionPipeline takes no other multiples


class StableDiffusion(UNetFamily):
    """Its texts, small as they are, stay in fp32 whatever the U-Net is in."""

    title = "Stable Diffusion"
    left_out: ClassVar[dict[str, None]] = {"safety_checker": None, "feature_extractor": None}
    exact_from = 0.7
    latents = 64

    @classmethod
    def precision(cls, device: torch.device) -> torch.dtype:
        return default_dtype(device)

    @classmethod
    def precision_of_texts(cls, dtype: torch.dtype) -> torch.dtype:
        return torch.float32

    @property
    def multiple(self) -> int:
        return max(PIXELS, self.scale)

    @property
    def clip_skips(self) -> int:
        return most_skipped(self.pipeline.text_encoder)

    @torch.inference_mode()
    def encoded(self, words: str, negative: bool = False, clip_skip: int = 0, chunks: int = 0) -> Condition:
        """Cut and padded to the tokenizer's limit as the pipeline does, or in chunks as AUTOMATIC1111 does."""
        if chunks:
            cut = self.words(words, chunks)
            return {TEXT: weighted(self._states(rows_of(cut, self.device), clip_skip), cut)}
        tokenizer = self.pipeline.tokenizer
        length = {"padding": "max_length", "max_length": tokenizer.model_max_length, "truncation": True}
        ids = tokenizer(words, **length, return_tensors="pt").input_ids
        return {TEXT: self._states(ids.to(self.device), clip_skip)}

    def _states(self, ids: Tensor, clip_skip: int) -> Tensor:
        """(B, tokens) -> (B, tokens, width); here because the pipeline's own leaves out layers only of a CLIP of older
        transformers."""
        encoder = self.pipeline.text_encoder
        if not clip_skip:
            return encoder(ids)[0]
        states = encoder(ids, output_hidden_states=True).hidden_states
        inner = getattr(encoder, "text_model", encoder)  # newer transformers have none
        return inner.final_layer_norm(states[-(clip_skip + 1)])

    def _cutter(self) -> WeighingCutter:
        return WeighingCutter(self.pipeline.tokenizer)

    def usual(self, name: str, schedule: dict[str, Any]) -> Recipe:
        return sd_usual.usual(name, self.side, schedule, type(self.pipeline.scheduler).__name__)

    def compile(self, backend: str | Callable = "inductor") -> None:
        """Worth its minutes where the page then runs for hours."""
        side = self.facts.side
        latents = torch.zeros(self.facts.latent_shape(side, side), device=self.device)
        self._unet.compile(latents, torch.zeros(1, device=self.device), self.encode("")[TEXT], backend)
