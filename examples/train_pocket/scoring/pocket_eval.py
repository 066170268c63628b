"""PocketEval: what is asked of Pocket, and when a picture counts as right.

GenEval's six tasks (Ghosh et al. 2023, https://arxiv.org/abs/2310.11513) in this model's domain. Every prompt asks for
a combination that training never shows: a (thing, background) pair, a (thing, hue) pair or a pair of things. The lists
are the same on every machine. Prompts are worded as training's most frequent wording.

The last task is another: 200 prompts as people type them, with what a right picture shows, written by hand into
typed_prompts.tsv. Most say no background, many use words that training never did, and nothing in them is held out.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import fmean, stdev

from ..scenes.captions import NUMBERS, RELATION_WORDS, STYLE_WORDS
from ..scenes.colours import BACKGROUNDS
from ..scenes.scene import RELATIONS, Part, Scene, copy_places, pair_places, random_scene, stands_out
from ..scenes.things import COMMON, HERE, held_out, held_out_hue, held_out_pair, table
from .detector import Found

MOST_PROMPTS = 100  # of each task, and twice as many typed ones
TOUCHING = 0.1  # share of the two sizes by which a thing must lie beside another, as in GenEval
NOUNS = {thing.name: thing.noun for thing in table()}


@dataclass(frozen=True)
class Asked:
    """One prompt, and what a right picture shows."""

    task: str  # key of TASKS
    prompt: str
    background: str  # empty: unsaid
    things: tuple[int, ...]  # rows of things.tsv
    hues: tuple[str | None, ...] = ()  # one for each thing, where the prompt says them
    relation: str | None = None  # where the first thing is, seen from the second
    number: int = 1
    style: str = "3d"


@dataclass(frozen=True)
class Score:
    """What the judge found of one picture."""

    right: bool  # everything the task asks
    partly: bool  # the easier half of it, as TASKS says


def single(rng: random.Random) -> Asked:
    """A common thing in 3D on a background that it was never shown on."""
    return _alone("single", rng, rng.randrange(COMMON), "3d")


def any_single(rng: random.Random) -> Asked:
    """Any of all things, in any style it has."""
    row = rng.randrange(len(table()))
    return _alone("any_single", rng, row, rng.choice(table()[row].styles))


def two(rng: random.Random) -> Asked:
    """Two things that never met; where they are is not said."""
    first, second = _strangers(rng)
    background = rng.choice(list(BACKGROUNDS))
    prompt = f"{table()[first].name} and {table()[second].name}, {background} background"
    return Asked("two", prompt, background, (first, second))


def counting(rng: random.Random) -> Asked:
    """Two to four of one thing, on a background that it was never shown on."""
    row, number = rng.choice([i for i in range(COMMON) if table()[i].plural]), rng.choice(list(NUMBERS))
    background = _unseen_background(rng, row)
    prompt = f"{NUMBERS[number]} {table()[row].plural}, {background} background"
    return Asked("counting", prompt, background, (row,), number=number)


def colours(rng: random.Random) -> Asked:
    """A thing in a hue that it was never turned to."""
    row, hue = rng.choice([(row, hue) for row in _turnable() for hue in _other_hues(row) if _unseen_hue(row, hue)])
    background = rng.choice([b for b in BACKGROUNDS if b != hue and not held_out(table()[row].name, b)])
    return Asked("colours", f"{hue} {table()[row].noun}, {background} background", background, (row,), (hue,))


def position(rng: random.Random) -> Asked:
    """Two things that never met, in a stated relation."""
    (first, second), relation = _strangers(rng), rng.choice(list(RELATIONS))
    background = rng.choice(list(BACKGROUNDS))
    words = f"{table()[first].name} {RELATION_WORDS[relation][0]} {table()[second].name}"
    return Asked("position", f"{words}, {background} background", background, (first, second), relation=relation)


def binding(rng: random.Random) -> Asked:
    """Two things that never met, each in its own hue."""
    first, second = _strangers(rng, _turnable())
    hues = (rng.choice(_other_hues(first)), rng.choice(_other_hues(second)))
    background = rng.choice([b for b in BACKGROUNDS if b not in hues])
    words = f"{hues[0]} {table()[first].noun} and {hues[1]} {table()[second].noun}"
    return Asked("binding", f"{words}, {background} background", background, (first, second), hues)


@cache
def typed_prompts() -> tuple[Asked, ...]:
    """The lines of typed_prompts.tsv."""
    rows = {thing.name: row for row, thing in enumerate(table())}
    found = []
    for line in (HERE / "typed_prompts.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        prompt, names, hues, relation, number, style, background = line.split("\t")
        things = tuple(rows[name] for name in names.split(";"))
        said = tuple(hue or None for hue in hues.split(";")) if hues else ()
        found.append(
            Asked("typed", prompt, background, things, said, relation or None, int(number or 1), style or "3d")
        )  # fmt: skip
    return tuple(found)


def typed(rng: random.Random) -> Asked:
    """A prompt as people type it."""
    return rng.choice(typed_prompts())


@dataclass(frozen=True)
class Task:
    """One line of the table."""

    build: Callable[[random.Random], Asked]
    label: str
    right: str  # what counts as right
    partly: str  # the easier half of it


TASKS = {
    "single": Task(single, "single object, 492 common things in 3D", "named first", "among the first five names"),
    "any_single": Task(
        any_single, "single object, all 1,317 things, four styles", "named first", "among the first five"
    ),
    "two": Task(two, "two objects", "both there", "one of them there"),
    "counting": Task(counting, "counting, two to four", "so many of that thing", "so many things of any name"),
    "colours": Task(colours, "colours, held-out hues", "the thing in that hue", "the thing in any hue"),
    "position": Task(position, "position", "both there and placed as said", "both there"),
    "binding": Task(binding, "attribute binding", "both there, each in its hue", "both there in any hue"),
    "typed": Task(typed, "as people type", "everything that is asked", "the things, in any hue, number or place"),
}


def prompts(task: str, n: int = MOST_PROMPTS) -> list[Asked]:
    """The first n different prompts of a task, the same on every call and machine; of the typed ones 2 n."""
    if task == "typed":
        return random.Random("PocketEval typed").sample(typed_prompts(), min(2 * n, len(typed_prompts())))
    rng, found = random.Random(f"PocketEval {task}"), {}
    while len(found) < n:
        asked = TASKS[task].build(rng)
        if _sensible(asked):
            found.setdefault(asked.prompt, asked)
    return list(found.values())


def scene_of(asked: Asked, rng: random.Random) -> Scene:
    """A scene that is exactly what is asked, placed at random: the truth that the judge itself is measured on."""
    if not asked.background:
        grounds = [replace(asked, background=name) for name in rng.sample(list(BACKGROUNDS), len(BACKGROUNDS))]
        return next(scene for ground in grounds if stands_out(scene := scene_of(ground, rng)))
    if asked.number > 1:
        places = copy_places(rng, asked.number)
        return Scene(
            "count", asked.background, tuple(Part(asked.things[0], *place, False, asked.style) for place in places)
        )
    if len(asked.things) == 1:
        return random_scene(rng, asked.things[0], asked.background, asked.style, *asked.hues)
    places = pair_places(rng, asked.relation or rng.choice(("left", "right", "above")))
    hues = asked.hues or (None, None)
    parts = [Part(t, *p, False, asked.style, hue) for t, p, hue in zip(asked.things, places, hues, strict=True)]
    return Scene("coloured" if asked.hues else "relation", asked.background, tuple(parts), asked.relation)


def score(asked: Asked, found: Sequence[Found]) -> Score:
    """What is right of one picture, by what the judge found in it.

    As in GenEval, further things beside those asked for do no harm, except in counting.
    """
    if asked.number > 1:
        of_it = list(_named(found, asked, 0))
        partly = bool(of_it) if asked.task == "typed" else len(found) == asked.number
        return Score(len(of_it) == asked.number, partly)
    if len(asked.things) == 1:
        named = list(_named(found, asked, 0))
        if asked.hues:
            return Score(any(thing.colour == asked.hues[0] for thing in named), bool(named))
        if asked.task == "typed":
            return Score(bool(named), bool(named))
        name = table()[asked.things[0]].name
        return Score(bool(named), any(name in thing.names for thing in found))
    first, second = list(_named(found, asked, 0)), list(_named(found, asked, 1))
    both = bool(first and second)
    if asked.hues:
        coloured = [
            any(hue in (None, thing.colour) for thing in things)
            for things, hue in zip((first, second), asked.hues, strict=True)
        ]
        return Score(all(coloured), both)
    if asked.relation:
        return Score(any(asked.relation in relations(a, b) for a in first for b in second), both)
    return Score(both, both if asked.task == "typed" else bool(first or second))


def relations(first: Found, second: Found) -> set[str]:
    """Where the first thing is, seen from the second, by GenEval's rule: one word, two for a diagonal, or none."""
    near = TOUCHING * (first.side + second.side)
    right, down = first.x - second.x, first.y - second.y
    distance = (right**2 + down**2) ** 0.5
    if not distance:
        return set()

    def beyond(offset: float) -> float:
        """The share of the distance that lies along this axis, with what may be chance taken off."""
        return max(abs(offset) - near, 0) / distance * (1 if offset > 0 else -1)

    told = {"left": -beyond(right), "right": beyond(right), "above": -beyond(down), "below": beyond(down)}
    return {relation for relation, share in told.items() if share > 0.5}


def summary(scores: Sequence[Sequence[Score]]) -> dict[str, float | int]:
    """Scores by prompt and seed -> counts and shares; `error` is the standard error over the prompts."""
    means = [fmean(s.right for s in seeds) for seeds in scores]
    pictures = [s for seeds in scores for s in seeds]
    return {
        "prompts": len(scores),
        "pictures": len(pictures),
        "right": round(fmean(means), 4),
        "error": round(stdev(means) / len(means) ** 0.5, 4) if len(means) > 1 else 0.0,
        "partly": round(fmean(s.partly for s in pictures), 4),
    }


def _alone(task: str, rng: random.Random, row: int, style: str) -> Asked:
    background, name = _unseen_background(rng, row), table()[row].name
    words = name if style == "3d" else f"{name}, {STYLE_WORDS[style]}"
    return Asked(task, f"{words}, {background} background", background, (row,), style=style)


def _unseen_background(rng: random.Random, row: int) -> str:
    """A background that the thing was never shown on; any, where there is none, which `_sensible` then refuses."""
    unseen = [colour for colour in BACKGROUNDS if held_out(table()[row].name, colour)]
    return rng.choice(unseen or list(BACKGROUNDS))


def _turnable() -> list[int]:
    return [row for row in range(COMMON) if _other_hues(row)]


def _other_hues(row: int) -> list[str]:
    """The hues that a thing may be turned to in 3D, its own left out."""
    thing = table()[row]
    return [hue for hue in thing.hues("3d") if hue != thing.colours.get("3d")]


def _unseen_hue(row: int, hue: str) -> bool:
    return held_out_hue(table()[row].name, hue)


def _strangers(rng: random.Random, rows: Sequence[int] = range(COMMON)) -> tuple[int, int]:
    """Two common things that training never shows together."""
    while True:
        first, second = rng.sample(rows, 2)
        if held_out_pair(table()[first].name, table()[second].name):
            return first, second


def _sensible(asked: Asked) -> bool:
    """False where the asked picture could not be told from another: a thing in its background's own colour, two things
    of one noun in hues, two equal hues; and where nothing about it was held out."""
    things = [table()[row] for row in asked.things]
    if asked.style not in things[0].styles or any(asked.style not in thing.styles for thing in things):
        return False
    if asked.hues and (len({t.noun for t in things}) < len(things) or len(set(asked.hues)) < len(things)):
        return False
    return is_held_out(asked) and stands_out(scene_of(asked, random.Random(0)))


def is_held_out(asked: Asked) -> bool:
    """True where training never shows what is asked: the pair of things, the hue, or the thing on this background."""
    things = [table()[row] for row in asked.things]
    if len(things) == 2:
        return held_out_pair(things[0].name, things[1].name)
    if asked.hues:
        return held_out_hue(things[0].name, asked.hues[0])
    return held_out(things[0].name, asked.background)


def _named(found: Sequence[Found], asked: Asked, i: int) -> Iterator[Found]:
    """The things found that have the name of the i-th thing asked for; its noun, where a hue is said instead of it or
    where people type, who say "apple"."""
    thing, by_noun = table()[asked.things[i]], bool(asked.hues) or asked.task == "typed"
    for one in found:
        if (NOUNS[one.name] == thing.noun) if by_noun else (one.name == thing.name):
            yield one
