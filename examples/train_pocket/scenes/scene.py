"""Scenes as plain data, what may be shown in training, and how scenes are drawn.

    single      one thing on one of eleven plain backgrounds
    recoloured  one thing turned to a named hue
    relation    two things, the first left of, right of, above or below the second
    count       two to four copies of one thing
    coloured    two things, one or both in a named hue
    several     three or four different things, some of them in a named hue

A single thing is drawn large, two or more small enough that they never touch.
"""

import random
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
from PIL import Image

from .colours import BACKGROUNDS, recoloured
from .things import held_out, held_out_hue, held_out_pair, held_out_style, table

SIZE = 128  # pixels per side of a scene
MIRRORED = 0.2  # share of the things that are drawn mirrored
RELATIONS = {"left": "right", "right": "left", "above": "below", "below": "above"}  # each with its opposite


@dataclass(frozen=True)
class Part:
    """One sprite in a scene."""

    thing: int  # row of things.tsv
    side: int  # longest side, pixels
    x: int  # centre, pixels
    y: int
    mirrored: bool = False
    style: str = "3d"
    hue: str | None = None  # the named hue that the caption says
    tone: str | None = None  # the skin tone that the caption says


@dataclass(frozen=True)
class Scene:
    """One picture to draw, as plain numbers and words."""

    kind: str  # one of the six above
    background: str  # key of BACKGROUNDS
    parts: tuple[Part, ...]
    relation: str | None = None  # where the first part is, seen from the second


def as_dict(scene: Scene) -> dict:
    return asdict(scene)


def from_dict(values: dict) -> Scene:
    return Scene(**{**values, "parts": tuple(Part(**part) for part in values["parts"])})


def random_scene(
    rng: random.Random, thing: int, background: str, style: str = "3d", hue: str | None = None, tone: str | None = None
) -> Scene:
    """One thing: small shifts, sizes and a mirror in one of five, so that seeds differ and learning stays quick."""
    side = rng.randint(94, 110)
    shift = min(6, (SIZE - side) // 2 - 2)
    x, y = SIZE // 2 + rng.randint(-shift, shift), SIZE // 2 + rng.randint(-shift, shift)
    mirrored = rng.random() < MIRRORED and table()[thing].mirrorable
    part = Part(thing, side, x, y, mirrored, style, hue, tone)
    return Scene("recoloured" if hue else "single", background, (part,))


def pair_places(rng: random.Random, relation: str) -> list[tuple[int, int, int]]:
    """(side, x, y) of two parts, the first at `relation` of the second, with a gap between them."""
    near, far, drift = rng.randint(31, 34), rng.randint(94, 97), rng.randint(-8, 8)
    places = []
    for along in (near, far) if relation in ("left", "above") else (far, near):
        across = SIZE // 2 + drift + rng.randint(-4, 4)
        side = rng.randint(48, 58)
        places.append((side, along, across) if relation in ("left", "right") else (side, across, along))
    return places


def copy_places(rng: random.Random, n: int) -> list[tuple[int, int, int]]:
    """(side, x, y) of n parts of one size that do not touch: in a row, a column, a triangle, a square."""
    if n == 2:
        side = rng.randint(48, 58)
        return [(side, x, y) for _, x, y in pair_places(rng, rng.choice(("left", "above")))]
    side = rng.randint(44, 52)
    low, high = 34, 94
    corners = [(low, low), (high, low), (low, high), (high, high)]
    if n == 3:
        middle = SIZE // 2
        corners = rng.choice(
            ([(middle, low), (low, high), (high, high)], [(low, low), (high, low), (middle, high)], corners[:3])
        )
    return [(side, x + rng.randint(-3, 3), y + rng.randint(-3, 3)) for x, y in corners]


def compose(background: str, placed: list[tuple[np.ndarray, Part]]) -> np.ndarray:
    """Sprites (160, 160, 4) uint8 onto a plain background -> (128, 128, 3) uint8"""
    canvas = np.empty((SIZE, SIZE, 3), np.float32)
    canvas[:] = BACKGROUNDS[background]
    for sprite, part in placed:
        picture = Image.fromarray(sprite).resize((part.side, part.side), Image.Resampling.LANCZOS)
        pixels = np.asarray(picture, np.float32)
        if part.mirrored:
            pixels = pixels[:, ::-1]
        top, left = part.y - (part.side + 1) // 2, part.x - (part.side + 1) // 2
        window = canvas[top : top + part.side, left : left + part.side]
        alpha = pixels[..., 3:] / 255
        window[:] = window * (1 - alpha) + pixels[..., :3] * alpha
    return canvas.clip(0, 255).astype(np.uint8)


def draw(scene: Scene, sprites) -> np.ndarray:
    """A scene and anything with `of(thing, style, tone)` -> (128, 128, 3) uint8"""
    placed = []
    for part in scene.parts:
        sprite = sprites.of(part.thing, part.style, part.tone)
        if part.hue and part.hue != table()[part.thing].colours.get(part.style):
            sprite = recoloured(sprite, part.hue)
        placed.append((sprite, part))
    return compose(scene.background, placed)


def in_training(scene: Scene) -> bool:
    """False for a scene that shows a combination held out of training."""
    rows = [table()[part.thing] for part in scene.parts]
    for thing, part in zip(rows, scene.parts, strict=True):
        turned = part.hue and part.hue != thing.colours.get(part.style)
        if held_out(thing.name, scene.background) or held_out_style(thing) == part.style:
            return False
        if turned and held_out_hue(thing.name, part.hue):
            return False
    return not any(held_out_pair(*pair) for pair in combinations(sorted({thing.name for thing in rows}), 2))


def stands_out(scene: Scene) -> bool:
    """False where a sprite would vanish in a background of its own colour. One large 3D render never does."""
    for part in scene.parts:
        colour = part.hue or table()[part.thing].colours.get(part.style)
        if colour == scene.background and not (scene.kind == "single" and part.style == "3d"):
            return False
    return True
