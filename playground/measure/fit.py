"""Who judges how well a picture fits its prompt: the CLIP towers in the model's own folder, or nobody."""

from functools import lru_cache
from pathlib import Path
from typing import Protocol

from PIL import Image

from playground.measure.adherence import Adherence, has_heads
from playground.measure.clip_pair import ClipPair, text_tower

NOBODY = (
    "Fit to the prompt is not measured here: it takes CLIP's image tower beside the text tower that it was trained "
    "with, and this model's folder has no such pair."
)


class Judge(Protocol):
    def scores(self, pictures: list[Image.Image], prompts: list[str]) -> list[float]:
        """The cosine similarity, in [-1, 1], of each picture and its own prompt."""


def brings(folder: str) -> bool:
    """Whether there is such a folder with towers in it, without loading them."""
    path = Path(folder)
    return bool(folder) and (has_heads(path) or text_tower(path) is not None)


@lru_cache(1)
def judge(folder: str) -> Judge | None:
    """Of the model in this folder, or single file; None where it brings no towers. Nothing is downloaded."""
    path = Path(folder)
    return (Adherence.load(path) or ClipPair.load(path)) if folder else None
