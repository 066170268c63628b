"""The table of things that Pocket knows (things.tsv, written by make_things.py), and what training never shows.

The first 492 rows are the everyday things of the first weights, under the names those learned; the rest follows.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .colours import BACKGROUNDS, HUES

HERE = Path(__file__).parents[1]  # where the tables lie
WORK = HERE.parent.parent / "training"  # git-ignored: sprites, latents, checkpoints
COMMON = 492  # rows that the first weights know
STYLES = ("3d", "flat", "cartoon", "sticker")


@dataclass(frozen=True)
class Thing:
    """One row of things.tsv."""

    code: str  # code points of the emoji, as the 3D set writes them
    name: str
    plural: str  # empty: not for counting
    synonyms: tuple[str, ...]  # other true names
    styles: tuple[str, ...]  # keys of STYLES that have it
    colours: dict[str, str]  # style -> the one named colour that its sprite mostly has
    turnable: tuple[str, ...]  # styles whose sprite may be turned to another hue
    toned: tuple[str, ...]  # styles that have skin tones of it

    @property
    def mirrorable(self) -> bool:
        """False where the name says which way it looks: mirrored, the name would be wrong."""
        return not any(word in self.name for word in ("left", "right", "quarter moon", "waxing", "waning"))

    @property
    def noun(self) -> str:
        """The name without its own colour, to put another before: "red apple" -> "apple"."""
        first, _, rest = self.name.partition(" ")
        return rest if rest and first in BACKGROUNDS else self.name

    def hues(self, style: str) -> tuple[str, ...]:
        """The hues it may have in this style, its own included, except those that make it another thing's name."""
        if style not in self.turnable:
            return ()
        return tuple(h for h in HUES if f"{h} {self.noun}" == self.name or f"{h} {self.noun}" not in names())


@cache
def table() -> tuple[Thing, ...]:
    """Every row of things.tsv, in order."""
    rows = [line.split("\t") for line in (HERE / "things.tsv").read_text(encoding="utf-8").splitlines()[1:]]

    def listed(cell: str) -> tuple[str, ...]:
        return tuple(cell.split(";")) if cell else ()

    return tuple(
        Thing(
            code, name, plural, listed(synonyms), listed(styles),
            dict(pair.split(":") for pair in listed(colours)), listed(turnable), listed(toned),
        )
        for code, name, plural, synonyms, styles, colours, turnable, toned, _ in rows
    )  # fmt: skip


@cache
def names() -> frozenset[str]:
    return frozenset(thing.name for thing in table())


def things() -> list[tuple[str, str]]:
    """The (code, name) pairs of the common things: what the first weights and the judge know."""
    return [(thing.code, thing.name) for thing in table()[:COMMON]]


def chance(text: str) -> int:
    """0…255 from a text, the same on every machine."""
    return hashlib.sha256(text.encode()).digest()[0]


def held_out(name: str, background: str) -> bool:
    """True for the tenth of the (thing, background) pairs that training never shows, in any style or arrangement."""
    return chance(f"{name}|{background}") < 26


def held_out_hue(name: str, hue: str) -> bool:
    """True for the tenth of the (thing, hue) pairs that a thing is never turned to; its own hue is not asked about."""
    return chance(f"{name}|hue|{hue}") < 26


def held_out_pair(name: str, other: str) -> bool:
    """True for the tenth of the pairs of things that never meet in one scene, in either order."""
    return chance("|pair|".join(sorted((name, other)))) < 26


def held_out_style(thing: Thing) -> str | None:
    """The style in which training never shows this thing, for one thing in twenty that has at least two styles.

    Never the 3D one: the first weights have seen that.
    """
    others = [style for style in thing.styles if style != "3d"]
    digest = hashlib.sha256(f"{thing.name}|style".encode()).digest()
    return others[digest[1] % len(others)] if len(thing.styles) > 1 and digest[0] < 13 else None


def reconstruction_only(code: str) -> bool:
    """True for the twentieth of all sprites that the autoencoder never trains on, so that its PSNR is honest."""
    return hashlib.sha256(code.split("+")[0].encode()).digest()[1] < 13


def training_pairs() -> list[tuple[int, str]]:
    """Every (common thing, background) pair that training may show."""
    return [(i, colour) for i, (_, name) in enumerate(things()) for colour in BACKGROUNDS if not held_out(name, colour)]
