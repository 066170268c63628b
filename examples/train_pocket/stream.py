"""Random training scenes with their captions, for ever. The shares of everything are the constants below."""

import random
from collections.abc import Iterator

from .captions import caption
from .colours import BACKGROUNDS
from .scenes import MIRRORED, RELATIONS, Part, Scene, copy_places, in_training, pair_places, random_scene, stands_out
from .things import COMMON, STYLES, Thing, table, training_pairs

# `common` is `single` again, of the 492 common things in 3D only: what the first page asks for.
KIND_SHARES = {"common": 0.5, "single": 0.14, "recoloured": 0.1, "relation": 0.1, "count": 0.08, "coloured": 0.08}
COMMON_SHARE = 0.6  # of the things outside `common`, how many are from the common 492
STYLE_SHARES = {"3d": 0.4, "flat": 0.2, "cartoon": 0.2, "sticker": 0.2}
TONE_SHARE = 0.15  # of the single things that come with skin tones, how many show one
OWN_HUE_SHARE = 0.2  # of the things with a named hue, how many keep their own


class Scenes:
    """Random training scenes with their captions, for ever, the same for the same seed."""

    def __init__(self, seed: int, shares: dict[str, float] | None = None, common_share: float = COMMON_SHARE) -> None:
        self.rng, self.shares, self.common_share = random.Random(seed), shares or KIND_SHARES, common_share
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
        while True:
            scene = getattr(self, kind)()
            if scene and in_training(scene) and stands_out(scene):
                return scene

    def background(self) -> str:
        return self.rng.choice(list(BACKGROUNDS))

    def style(self) -> str:
        return self.rng.choices(list(STYLE_SHARES), list(STYLE_SHARES.values()))[0]

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

    def two(self, kind: str, relation: str, rows: list[int] | None, style: str, said: str | None) -> Scene | None:
        first, second = self.thing(style, rows), self.thing(style, rows)
        if first is None or second is None or first == second:
            return None
        parts, hues = [], []
        for thing, (side, x, y) in zip((first, second), pair_places(self.rng, relation), strict=True):
            hues.append(self.hue(table()[thing], style) if kind == "coloured" else None)
            mirrored = self.rng.random() < MIRRORED and table()[thing].mirrorable
            parts.append(Part(thing, side, x, y, mirrored, style, hues[-1]))
        if kind == "coloured" and (None in hues or hues[0] == hues[1]):
            return None
        return Scene(kind, self.background(), tuple(parts), said)

    def relation(self) -> Scene | None:
        relation = self.rng.choice(list(RELATIONS))
        return self.two("relation", relation, None, self.style(), relation)

    def coloured(self) -> Scene | None:
        style = self.style()
        return self.two("coloured", self.rng.choice(("left", "right", "above")), self.turnable[style], style, None)

    def count(self) -> Scene | None:
        style = self.style()
        thing = self.thing(style)
        if thing is None or not table()[thing].plural:
            return None
        mirrored = self.rng.random() < MIRRORED and table()[thing].mirrorable
        places = copy_places(self.rng, self.rng.randint(2, 4))
        return Scene("count", self.background(), tuple(Part(thing, *place, mirrored, style) for place in places))
