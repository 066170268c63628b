"""Captions that are nearly true: a scene with one thing changed, in the same wording.

Contrastive towers learn only what tells their captions apart. With random captions as the wrong ones the thing alone
does that; these make background, hue, count and relation matter too (hard negatives, as in NegCLIP, Yuksekgonul et al.
2022, https://arxiv.org/abs/2210.01936).
"""

import random
from collections.abc import Callable
from dataclasses import replace

from .captions import caption
from .colours import BACKGROUNDS, HUES
from .scene import RELATIONS, Part, Scene
from .things import table

TRIES = 20  # changes tried until one shows in the words: a caption may leave background and style unsaid
MIRROR = {"right": "left", "below": "above"}  # a relation, and the one that says the same with the parts exchanged


def other(rng: random.Random, values, value):
    """One of the values that is not this one; None if there is no other."""
    others = [v for v in values if v != value]
    return rng.choice(others) if others else None


def with_part(scene: Scene, i: int, part: Part) -> Scene:
    return replace(scene, parts=(*scene.parts[:i], part, *scene.parts[i + 1 :]))


def other_background(rng: random.Random, scene: Scene) -> Scene | None:
    return replace(scene, background=other(rng, BACKGROUNDS, scene.background))


def other_thing(rng: random.Random, scene: Scene) -> Scene | None:
    """All copies become another thing; of two different things, one does."""
    thing = rng.randrange(len(table()))
    if any(part.thing == thing for part in scene.parts) or (scene.kind == "count" and not table()[thing].plural):
        return None
    if scene.kind == "count":
        return replace(scene, parts=tuple(replace(part, thing=thing) for part in scene.parts))
    i = rng.randrange(len(scene.parts))
    return with_part(scene, i, replace(scene.parts[i], thing=thing, tone=None))


def other_style(rng: random.Random, scene: Scene) -> Scene | None:
    """Never 3D: captions may leave that unsaid, and a prompt without a style is not wrong for a flat icon."""
    style = other(rng, ("flat", "cartoon", "sticker"), scene.parts[0].style)
    return replace(scene, parts=tuple(replace(part, style=style) for part in scene.parts))


def other_hue(rng: random.Random, scene: Scene) -> Scene | None:
    i = rng.randrange(len(scene.parts))
    if scene.parts[i].hue is None:
        return None
    return with_part(scene, i, replace(scene.parts[i], hue=other(rng, HUES, scene.parts[i].hue)))


def exchanged_hues(rng: random.Random, scene: Scene) -> Scene | None:
    """ "red hat and blue shoe" -> "blue hat and red shoe" """
    if scene.kind != "coloured":
        return None
    first, second = scene.parts
    return replace(scene, parts=(replace(first, hue=second.hue), replace(second, hue=first.hue)))


def other_relation(rng: random.Random, scene: Scene) -> Scene | None:
    """Mostly the opposite: "cat left of dog" -> "cat right of dog"."""
    if scene.relation is None:
        return None
    opposite = RELATIONS[scene.relation]
    return replace(scene, relation=opposite if rng.random() < 0.6 else other(rng, RELATIONS, scene.relation))


def other_count(rng: random.Random, scene: Scene) -> Scene | None:
    if scene.kind != "count":
        return None
    return replace(scene, parts=scene.parts[:1] * other(rng, (2, 3, 4), len(scene.parts)))


CHANGES: dict[str, Callable[[random.Random, Scene], Scene | None]] = {
    "background": other_background,
    "thing": other_thing,
    "style": other_style,
    "hue": other_hue,
    "exchanged hues": exchanged_hues,
    "relation": other_relation,
    "count": other_count,
}
# what is worth telling apart in each kind of scene, with how often it is chosen
WEIGHTS: dict[str, dict[str, int]] = {
    "single": {"background": 3, "thing": 4, "style": 3},
    "recoloured": {"background": 2, "thing": 2, "style": 1, "hue": 5},
    "relation": {"background": 2, "thing": 2, "style": 1, "relation": 5},
    "count": {"background": 2, "thing": 2, "style": 1, "count": 5},
    "coloured": {"background": 2, "thing": 2, "style": 1, "hue": 3, "exchanged hues": 4},
    "several": {"background": 2, "thing": 5, "style": 1},
}


def true_and_nearly(rng: random.Random, scene: Scene, n: int) -> tuple[str, list[tuple[str, str]]]:
    """A true caption, and at most n of (what was changed, a caption in the same wording that is not true)."""
    seed = rng.getrandbits(32)
    true, wrong, weights = caption(random.Random(seed), scene), {}, WEIGHTS[scene.kind]
    for _ in range(n * TRIES):
        if len(wrong) == n:
            break
        change = rng.choices(list(weights), list(weights.values()))[0]
        changed = CHANGES[change](rng, scene)
        text = caption(random.Random(seed), changed) if changed else true
        if text != true:
            wrong[text] = change
    return true, [(change, text) for text, change in wrong.items()]


def meaning(scene: Scene) -> tuple:
    """What any caption of the scene says: equal for two scenes of which the same captions are true."""
    parts = [(part.thing, part.hue or "", part.tone or "") for part in scene.parts]
    relation = scene.relation
    if relation in MIRROR:
        relation, parts = MIRROR[relation], parts[::-1]
    elif relation is None:
        parts.sort()
    return scene.background, scene.parts[0].style, relation, tuple(parts)
