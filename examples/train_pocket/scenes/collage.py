"""New scenes from the parts of encoded ones: halves and quadrants of latents with one background and style, exchanged.

Two things stand in the two halves of a picture, three or four in its quadrants, with plain background where they meet,
so latents can be cut there: pairs, groups and counts without end, and nothing to encode. Decoded and compared with a
real render, a picture put together so loses 0.3 dB against the same scene encoded whole (halves 0.27 and 0.29,
quadrants 0.38; 48 pictures each). Moved to another half it would lose up to 1.5, so every part stays where it was.

A collage shows no combination that is held out of training: it is asked like any other scene.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from .scene import SIZE, Part, Scene, in_training
from .stream import MOST_WORDS, ONE_HUE_SHARE, PLACED_SHARE, SEVERAL_HUE_SHARE, said_words
from .things import table

CELLS = 16  # per side of a latent
HALF = CELLS // 2
LOW, HIGH = slice(0, HALF), slice(HALF, CELLS)
AREAS = {  # name of a place -> rows and columns of the latent
    "left": (slice(None), LOW), "right": (slice(None), HIGH), "above": (LOW, slice(None)), "below": (HIGH, slice(None)),
    "00": (LOW, LOW), "01": (LOW, HIGH), "10": (HIGH, LOW), "11": (HIGH, HIGH),
}  # fmt: skip
QUADRANTS = ("00", "01", "10", "11")
OPPOSITE = {"left": "right", "above": "below"}
THREE_SHARE = 0.5  # of the groups, how many leave a quadrant plain
TRIES = 40

Piece = tuple[int, Part]  # row of the bank, and the one part that stands in the area
Source = tuple[int | None, str]  # row of the bank, None for plain background; area


def pieces_of(scene: Scene) -> Iterable[tuple[str, Part]]:
    """The (area, part) pairs of a scene that can be cut out: of two parts their halves, of more their quadrants."""
    middle = SIZE / 2
    if len(scene.parts) == 2:
        first, second = scene.parts
        beside = abs(first.x - second.x) > abs(first.y - second.y)
        for part in scene.parts:
            low = part.x < middle if beside else part.y < middle
            yield ("left" if low else "right") if beside else ("above" if low else "below"), part
    elif len(scene.parts) > 2:
        for part in scene.parts:
            if min(abs(part.x - middle), abs(part.y - middle)) >= part.side / 2:
                yield f"{int(part.y > middle)}{int(part.x > middle)}", part


class Collages:
    """Scenes of one kind from the pieces of all scenes it was given: `new(kind)`; `add` takes further ones."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.pieces: dict[tuple, list[Piece]] = defaultdict(list)  # (area, hued) and (area, hued, background, style)
        self.of_thing: dict[tuple, list[Piece]] = defaultdict(list)  # (thing, background, style, area), in quadrants

    def add(self, first_row: int, scenes: Iterable[Scene]) -> None:
        for row, scene in enumerate(scenes, first_row):
            for area, part in pieces_of(scene):
                hued = part.hue is not None
                self.pieces[area, hued].append((row, part))
                self.pieces[area, hued, scene.background, part.style].append((row, part))
                if area in QUADRANTS and not hued and table()[part.thing].plural:
                    self.of_thing[part.thing, scene.background, part.style, area].append((row, part))

    def new(self, kind: str, backgrounds: Callable[[int], str]) -> tuple[Scene, list[Source]] | None:
        """A new scene and where its areas come from; None where none was found. backgrounds: of a row of the bank."""
        for _ in range(TRIES):
            made = self.count(backgrounds) if kind == "count" else self.different(kind, backgrounds)
            if made and in_training(made[0]):
                return made
        return None

    def different(self, kind: str, backgrounds: Callable[[int], str]) -> tuple[Scene, list[Source]] | None:
        """Different things: two in halves, three or four in quadrants."""
        pair = kind in ("relation", "coloured")
        if pair:
            area = self.rng.choice(list(OPPOSITE))
            areas = self.rng.sample((area, OPPOSITE[area]), 2)
            hued = [kind == "coloured", kind == "coloured" and self.rng.random() >= ONE_HUE_SHARE]
        else:
            areas = self.rng.sample(QUADRANTS, 3 if self.rng.random() < THREE_SHARE else 4)
            hued = [self.rng.random() < SEVERAL_HUE_SHARE for _ in areas]
        if not self.pieces[areas[0], hued[0]]:
            return None
        chosen = [self.rng.choice(self.pieces[areas[0], hued[0]])]
        background, style = backgrounds(chosen[0][0]), chosen[0][1].style
        for key in zip(areas[1:], hued[1:], strict=True):
            if not (found := self.pieces[(*key, background, style)]):
                return None
            chosen.append(self.rng.choice(found))
        parts = tuple(part for _, part in chosen)
        if len({part.thing for part in parts}) < len(parts) or (all(hued) and len({p.hue for p in parts}) < len(parts)):
            return None
        if not pair and said_words(parts) > MOST_WORDS:
            return None
        said = areas[0] if kind == "relation" or pair and self.rng.random() < PLACED_SHARE else None
        return Scene(kind, background, parts, said), self.sources(chosen, areas)

    def count(self, backgrounds: Callable[[int], str]) -> tuple[Scene, list[Source]] | None:
        """Two to four of one thing, in quadrants."""
        areas = self.rng.sample(QUADRANTS, self.rng.randint(2, 4))
        if not self.pieces[areas[0], False]:
            return None
        first = self.rng.choice(self.pieces[areas[0], False])
        background, part = backgrounds(first[0]), first[1]
        chosen = [first]
        for area in areas[1:]:
            if not (found := self.of_thing[part.thing, background, part.style, area]):
                return None
            chosen.append(self.rng.choice(found))
        if not table()[part.thing].plural:
            return None
        return Scene("count", background, tuple(p for _, p in chosen)), self.sources(chosen, areas)

    @staticmethod
    def sources(chosen: list[Piece], areas: list[str]) -> list[Source]:
        found: list[Source] = [(row, area) for (row, _), area in zip(chosen, areas, strict=True)]
        empty = [q for q in QUADRANTS if q not in areas] if areas[0] in QUADRANTS else []
        return found + [(None, area) for area in empty]


def put_together(sources: list[Source], latents: Tensor, plain: Tensor) -> Tensor:
    """The areas of bank latents (N, 4, 16, 16), or of the plain background's (4, 16, 16) -> (4, 16, 16)"""
    made = torch.empty_like(plain)
    for row, area in sources:
        rows, columns = AREAS[area]
        made[:, rows, columns] = (plain if row is None else latents[row])[:, rows, columns]
    return made
