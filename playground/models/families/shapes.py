"""What a family's model consists of and costs, for pictures of each size: from its shapes, and worked out once."""

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from playground.models.anatomy import Anatomy, Cost
from playground.models.running.skeleton import Example, Skeletons

if TYPE_CHECKING:
    from playground.models.families.base import Family

KEPT = 16  # sizes


class Shapes:
    """Asked for by many pages at any time, also while a text encoder is away: what needs one is done at first."""

    def __init__(self, family: "Family") -> None:
        """Of a model whose facts are there."""
        self._family, self._empty = family, family.without_numbers()
        self._skeletons = Skeletons(family.network, family.vae, family.inputs, family.pixels, family.unscaled)
        self._one_at_a_time = threading.Lock()  # hooks on one skeleton
        self.anatomy = lru_cache(KEPT)(self._anatomy)
        self.cost = lru_cache(KEPT)(self._cost)

    def _anatomy(self, width: int, height: int) -> Anatomy:
        family, scale = self._family, self._family.scale
        tokenizer = type(getattr(family.pipeline, family.token_mark)).__name__
        with self._one_at_a_time:
            example = self._example(height // scale, width // scale)
            return self._skeletons.anatomy(tokenizer, family.text_encoders, example)

    def _cost(self, width: int, height: int) -> Cost:
        scale = self._family.scale
        with self._one_at_a_time:
            small = self._example(height // scale, width // scale)
            return self._skeletons.cost(small, self._example(height, width), (width, height))

    def _example(self, rows: int, columns: int) -> Example:
        latents = torch.empty(1, self._family.channels, rows, columns, device="meta")
        return latents, torch.zeros(1, device="meta"), [self._empty]
