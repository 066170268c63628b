"""Random training scenes with their captions, for ever. The shares of everything are the constants below."""

import random
from collections.abc import Iterable, Iterator

from .captions import caption
from .colours import BACKGROUNDS
from .scene import MIRRORED, RELATIONS, Part, Scene, copy_places, in_training, pair_places, random_scene, stands_out
from .things import COMMON, STYLES, Thing, table, training_pairs

# `common` is `single` again, of the 492 common things in 3D only: what the first page asks for.
KIND_SHARES = {
    "common": 0.07, "single": 0.43, "recoloured": 0.15, "relation": 0.12, "count": 0.1, "coloured": 0.09,
    "several": 0.04,
}  # fmt: skip
COMPOSED = {"recoloured", "relation", "count", "coloured", "several"}  # which show mostly common things in 3D
COMPOSED_COMMON_SHARE = 0.85  # of the things in a composed scene, how many are from the common 492
COMMON_SHARE = 0.25  # of the single things outside `common`
COMPOSED_STYLE_SHARES = {"3d": 0.79, "flat": 0.07, "cartoon": 0.07, "sticker": 0.07}
STYLE_SHARES = {"3d": 0.25, "flat": 0.25, "cartoon": 0.25, "sticker": 0.25}
TONE_SHARE = 0.15  # of the single things that come with skin tones, how many show one
OWN_HUE_SHARE = 0.2  # of the things with a named hue, how many keep their own
ONE_HUE_SHARE = 0.3  # of the coloured pairs, in how many only one of the two has a named hue: "cat and red car"
PLACED_SHARE = 0.3  # of the coloured pairs, in how many the places may be said too
SEVERAL_HUE_SHARE = 0.2  # of the things among several that can be turned, how many are
MOST_WORDS = 8  # of the names of several things together: longer captions would be cut


def said_words(parts: Iterable[Part]) -> int:
    """How many words name these things, their hues included."""
    return sum(len(table()[part.thing].name.split()) + (part.hue is not None) for part in parts)


class Scenes:
    """Random training scenes with their captions, for ever, the same for the same seed."""

    def __init__(self, seed: int, shares: dict[str, float] | None = None) -> None:
        self.rng, self.shares = random.Random(seed), shares or KIND_SHARES
        self.common_share, self.style_shares = COMMON_SHARE, STYLE_SHARES  # of the scene that is being made
        self.turnable = {s: [i for i, t in enumerate(table()) if t.hues(s)] for s in STYLES}
        self.pairs: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[tuple[Scene, str]]:
        while True:
            kind = self.rng.choices(list(self.shares), list(self.shares.values()))[0]
            scene = self.common() if kind == "common" else self.allowed(kind)
            yield scene, caption(self.rng, scene)

    def common(self) -> Scene:
        """Every pair of a common thing and a background once before any a second time."""
        if not self.pairs:
            self.pairs = self.rng.sample(known := training_pairs(), len(known))
        return random_scene(self.rng, *self.pairs.pop())

    def allowed(self, kind: str) -> Scene:
        composed = kind in COMPOSED
        self.common_share = COMPOSED_COMMON_SHARE if composed else COMMON_SHARE
        self.style_shares = COMPOSED_STYLE_SHARES if composed else STYLE_SHARES
        while True:
            scene = getattr(self, kind)()
            if scene and in_training(scene) and stands_out(scene):
                return scene

    def background(self) -> str:
        return self.rng.choice(list(BACKGROUNDS))

    def style(self) -> str:
        return self.rng.choices(list(self.style_shares), list(self.style_shares.values()))[0]

    def thing(self, style: str, rows: list[int] | None = None) -> int | None:
        """A row that has the style, from the common ones in `common_share` of the cases; None if it was not found."""
        common = self.rng.random() < self.common_share
        for _ in range(30):
            row = self.rng.choice(rows) if rows else self.rng.randrange(len(table()))
            if (row < COMMON) == common and style in table()[row].styles:
                return row
        return None

    def hue(self, thing: Thing, style: str) -> str | None:
        """A hue for the thing, now and then its own; None where there is none."""
        own, hues = thing.colours.get(style), thing.hues(style)
        if own in hues and self.rng.random() < OWN_HUE_SHARE:
            return own
        others = [hue for hue in hues if hue != own]
        return self.rng.choice(others) if others else None

    def mirrored(self, thing: int) -> bool:
        return self.rng.random() < MIRRORED and table()[thing].mirrorable

    def single(self) -> Scene | None:
        style = self.style()
        if (thing := self.thing(style)) is None:
            return None
        shown = style in table()[thing].toned and self.rng.random() < TONE_SHARE
        tone = self.rng.choice(("light", "medium", "dark")) if shown else None
        return random_scene(self.rng, thing, self.background(), style, tone=tone)

    def recoloured(self) -> Scene | None:
        style = self.style()
        if (thing := self.thing(style, self.turnable[style])) is None:
            return None
        hue = self.hue(table()[thing], style)
        return random_scene(self.rng, thing, self.background(), style, hue=hue) if hue else None

    def two(self, kind: str, things: tuple[int | None, int | None], hued: int, style: str) -> Scene | None:
        """Two different things in any of the four relations, the first `hued` of them in named hues."""
        relation = self.rng.choice(list(RELATIONS))
        if None in things or things[0] == things[1]:
            return None
        parts = []
        for i, (thing, (side, x, y)) in enumerate(zip(things, pair_places(self.rng, relation), strict=True)):
            hue = self.hue(table()[thing], style) if i < hued else None
            parts.append(Part(thing, side, x, y, self.mirrored(thing), style, hue))
        hues = [part.hue for part in parts]
        if hues.count(None) > 2 - hued or (hued == 2 and hues[0] == hues[1]):
            return None
        said = kind == "relation" or self.rng.random() < PLACED_SHARE
        return Scene(kind, self.background(), tuple(parts), relation if said else None)

    def relation(self) -> Scene | None:
        style = self.style()
        return self.two("relation", (self.thing(style), self.thing(style)), 0, style)

    def coloured(self) -> Scene | None:
        style, hued = self.style(), 1 if self.rng.random() < ONE_HUE_SHARE else 2
        first = self.thing(style, self.turnable[style])
        second = self.thing(style, self.turnable[style] if hued == 2 else None)
        return self.two("coloured", (first, second), hued, style)

    def count(self) -> Scene | None:
        style = self.style()
        thing = self.thing(style)
        if thing is None or not table()[thing].plural:
            return None
        mirrored = self.mirrored(thing)
        places = copy_places(self.rng, self.rng.randint(2, 4))
        return Scene("count", self.background(), tuple(Part(thing, *place, mirrored, style) for place in places))

    def several(self) -> Scene | None:
        style, n = self.style(), self.rng.randint(3, 4)
        things = [self.thing(style) for _ in range(n)]
        if None in things or len(set(things)) < n:
            return None
        places = self.rng.sample(copy_places(self.rng, n), n)
        parts = []
        for thing, place in zip(things, places, strict=True):
            hue = self.hue(table()[thing], style) if self.rng.random() < SEVERAL_HUE_SHARE else None
            parts.append(Part(thing, *place, self.mirrored(thing), style, hue))
        return Scene("several", self.background(), tuple(parts)) if said_words(parts) <= MOST_WORDS else None
