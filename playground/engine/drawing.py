"""Latents into pictures, for the loop: previews as often as the time allows, and the final ones by the real VAE."""

import logging
import time
from collections.abc import Iterator
from typing import Any

import torch
from PIL import Image

from playground.engine import kept
from playground.engine.capacity import free_memory
from playground.engine.request import Live
from playground.models import Model

PICTURES_PER_DECODE = 8
PREVIEW_SHARE = 0.05  # of the time; a cell's first preview is always made
log = logging.getLogger(__name__)


class Drawing:
    """Of one loop. Entries here are runs, not single questions."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._seconds_of_steps = self._seconds_of_previews = 0.0

    def free_memory(self) -> None:
        free_memory(self._model.device)

    def note_steps(self, seconds: float) -> None:
        """What a tick took without its previews."""
        self._seconds_of_steps += seconds

    def due_for_a_preview(self, entries: list[Live]) -> list[Live]:
        """Cells that somebody watches, as often as PREVIEW_SHARE of the time allows."""
        watched = [e for e in entries if not e.work.finished and any(r.previews for r, _ in e.watchers)]
        if self._seconds_of_previews > PREVIEW_SHARE * self._seconds_of_steps:
            return [e for e in watched if not e.previewed]
        return watched

    def previews(self, due: list[Live]) -> dict[Live, Image.Image]:
        """A quick picture of each one's x̂₀."""
        if not due:
            return {}
        begun = time.perf_counter()
        pictures = {}
        for group in _by_shape(due):
            for some in (group[i : i + PICTURES_PER_DECODE] for i in range(0, len(group), PICTURES_PER_DECODE)):
                drawn = self._quick(torch.cat([entry.work.x0 for entry in some]))
                pictures |= dict(zip(some, drawn, strict=False))
        for entry in due:
            entry.previewed = True
        self._seconds_of_previews += time.perf_counter() - begun
        # Both sums fade, so that one slow moment does not decide about the next hour.
        self._seconds_of_steps, self._seconds_of_previews = (
            0.98 * s for s in (self._seconds_of_steps, self._seconds_of_previews)
        )
        return pictures

    def kept_pictures(self, entries: list[Live]) -> dict[Live, dict[str, Image.Image]]:
        """Quick pictures of the calls that were just made, where `Keep` asks for them: those are always drawn."""
        found = {}
        for entry in entries:
            t = entry.work
            if t.k - 1 in t.keep.pictures:
                latents = kept.to_draw(t)
                found[entry] = dict(zip(latents, self._quick(torch.cat(list(latents.values()))), strict=False))
        return found

    def _quick(self, latents: torch.Tensor) -> list[Image.Image]:
        """Empty where it fails: nobody's run should end for a preview."""
        try:
            return self._model.preview(latents)
        except Exception:
            self.free_memory()
            log.warning("A preview failed; the run goes on without it.", exc_info=True)
            return []

    @staticmethod
    def next_to_decode(waiting: list[Live]) -> tuple[list[Live], list[Live]]:
        return waiting[:PICTURES_PER_DECODE], waiting[PICTURES_PER_DECODE:]

    def decoded(self, entries: list[Live]) -> Iterator[tuple[Live, Any]]:
        """Each with (picture, its share of the seconds), or with the exception that it ended in when tried alone."""
        for group in _by_shape(entries):
            begun = time.perf_counter()
            try:
                images = self._model.decode(torch.cat([entry.work.latents for entry in group]))
            except Exception as error:
                self.free_memory()
                if len(group) == 1:
                    yield group[0], error
                else:
                    for entry in group:
                        yield from self.decoded([entry])
                continue
            each = (time.perf_counter() - begun) / len(group)
            yield from ((entry, (image, each)) for entry, image in zip(group, images, strict=True))


def _by_shape(entries: list[Live]) -> list[list[Live]]:
    """Entries whose latents can be stacked into one batch."""
    shapes: dict[torch.Size, list[Live]] = {}
    for entry in entries:
        shapes.setdefault(entry.work.latents.shape, []).append(entry)
    return list(shapes.values())
