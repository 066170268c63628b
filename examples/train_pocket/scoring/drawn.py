"""The pictures that the evaluation looks at: each is drawn once by the shipped weights and kept on disk."""

import time
from collections.abc import Sequence

from PIL import Image

from playground import Recipe
from playground.engine import Done, Failed, LocalEngine, Result
from playground.store import Store

from ..scenes.things import WORK

FOLDER = WORK / "eval"
AT_ONCE = 64  # recipes handed to the engine together


class Drawings:
    """Pictures by recipe and weights; a run that was stopped goes on where it was, and equal recipes are drawn once."""

    def __init__(self, engine: LocalEngine, store: Store | None = None) -> None:
        self.engine, self.store = engine, Store(FOLDER / "cells") if store is None else store

    def of(self, recipes: Sequence[Recipe]) -> list[Image.Image]:
        """The pictures in the order asked for. Raises RuntimeError where one could not be drawn."""
        return [result.image for result in self.results(recipes)]

    def results(self, recipes: Sequence[Recipe]) -> list[Result]:
        """The same with their latents."""
        kept_as = self.engine.facts.fingerprint_for
        results = {i: result for i, r in enumerate(recipes) if (result := self.store.get(r, kept_as(r))) is not None}
        missing = [i for i in range(len(recipes)) if i not in results]
        begun = shown = time.monotonic()
        rows = 0
        for first in range(0, len(missing), AT_ONCE):
            chosen = missing[first : first + AT_ONCE]
            for event in self.engine.run([recipes[i] for i in chosen], previews=False):
                if isinstance(event, Failed):
                    raise RuntimeError(event.reason)
                if isinstance(event, Done):
                    self.store.put(event.result, kept_as(event.result.recipe))
                    results[chosen[event.cell]] = event.result
            rows += sum(self.engine.facts.evaluations(recipes[i]) for i in chosen)
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                print(
                    f"  {len(results)} of {len(recipes)} pictures, {rows / (shown - begun):.0f} U-Net rows/s",
                    flush=True,
                )
        return [results[i] for i in range(len(recipes))]
