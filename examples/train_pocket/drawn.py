"""The pictures that the evaluation looks at: each is drawn once by the shipped weights and kept on disk."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from playground import Recipe
from playground.engine import Done, Engine, Failed
from playground.store import Store

from .text import POCKET
from .things import WORK

FOLDER = WORK / "eval"
PARTS = ("text_encoder", "tokenizer", "unet", "vae", "scheduler")  # of the model, what a picture depends on
AT_ONCE = 64  # recipes handed to the engine together


def digest(paths: Sequence[Path]) -> str:
    """16 digits over the contents of files."""
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def weights_digest(folder: Path = POCKET) -> str:
    """Of the model's own parts. The engine's fingerprint also covers the files that the evaluation writes."""
    return digest([path for part in PARTS for path in (folder / part).iterdir() if path.is_file()])


class Drawings:
    """Pictures by recipe; a run that was stopped goes on where it was, and equal recipes are drawn once."""

    def __init__(self, engine: Engine, store: Store | None = None) -> None:
        self.engine, self.store = engine, Store(FOLDER / "cells") if store is None else store
        self.weights = weights_digest()

    def key(self, recipe: Recipe) -> str:
        """What the picture depends on besides the recipe: the weights, and the files of its LoRAs."""
        files = [POCKET / "loras" / f"{name}.safetensors" for name, _ in recipe.loras]
        return self.weights + (f"-{digest(files)}" if files else "")

    def of(self, recipes: Sequence[Recipe]) -> list[Image.Image]:
        """The pictures in the order asked for. Raises RuntimeError where one could not be drawn."""
        pictures = {
            i: result.image for i, r in enumerate(recipes) if (result := self.store.get(r, self.key(r))) is not None
        }
        missing = [i for i in range(len(recipes)) if i not in pictures]
        begun = shown = time.monotonic()
        rows = 0
        for first in range(0, len(missing), AT_ONCE):
            chosen = missing[first : first + AT_ONCE]
            for event in self.engine.run([recipes[i] for i in chosen], previews=False):
                if isinstance(event, Failed):
                    raise RuntimeError(event.reason)
                if isinstance(event, Done):
                    self.store.put(event.result, self.key(event.result.recipe))
                    pictures[chosen[event.cell]] = event.result.image
            rows += sum(recipes[i].evaluations for i in chosen)
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                print(
                    f"  {len(pictures)} of {len(recipes)} pictures, {rows / (shown - begun):.0f} U-Net rows/s",
                    flush=True,
                )
        return [pictures[i] for i in range(len(recipes))]
