"""What a scene shows, in words: exact, and worded anew each time from a random.Random.

A picture in the 3D style may leave its style unsaid, so that "red apple, blue background" means a 3D render; the other
styles are always named. Some captions are worded as people type them (typed.py).
"""

import random

from .scene import RELATIONS, Scene
from .things import Thing, table
from .typed import typed

# The first four are the first weights' own; the first of all is the one the playground teaches, and the most frequent.
WORDINGS = (
    "{name}, {colour} background",
    "a {name} on a {colour} background",
    "3d render of a {name}, {colour} background",
    "{colour} background, {name}",
)
STYLE_WORDS = {"3d": "3d render", "flat": "flat icon", "cartoon": "cartoon", "sticker": "sticker"}
# {s} the subject, {a} the same with articles, {b} the background, {ab} with its article, {w} and {aw} the style
UNSTYLED = {
    "{s}, {b} background": 0.52,
    "{a} on {ab} background": 0.2,
    "{w} of {a}, {b} background": 0.12,
    "{b} background, {s}": 0.08,
    "{s}, {w}, {b} background": 0.03,
    "{aw} of {a} on {ab} background": 0.03,
    "{s} on {b}": 0.02,
}
STYLED = {
    "{s}, {w}, {b} background": 0.3,
    "{w} of {a}, {b} background": 0.25,
    "{aw} of {a} on {ab} background": 0.15,
    "{s}, {b} background, {w}": 0.12,
    "{b} background, {w} of {a}": 0.1,
    "{w}, {s}, {b} background": 0.08,
}
TYPED = 0.25  # share of the captions that are worded as people type
NO_BACKGROUND = 0.05  # share of the other captions that leave the background unsaid
SYNONYMS = 0.12  # share of the names that are replaced by another true name, where there is one
DIGITS = 0.15  # share of the counts written as a digit
UNCOUNTED = 0.06  # share of the counts that only say that there are several: "cats"
UNPLACED = 1 / 3  # share of the relations that are left unsaid: "cat and car"
NUMBERS = {2: "two", 3: "three", 4: "four"}
RELATION_WORDS = {
    "left": ("to the left of", "left of", "on the left of"),
    "right": ("to the right of", "right of", "on the right of"),
    "above": ("above", "over", "on top of"),
    "below": ("below", "under", "beneath"),
}
RELATION_SHARES = (0.6, 0.28, 0.12)  # of the words of one relation
TOGETHER = {"and": 0.8, "with": 0.07, "next to": 0.07, "beside": 0.03, "&": 0.03}  # where the places stay unsaid
SOUNDS_LIKE_YOU = ("uni", "ufo", "euro", "uk", "use", "one")


def with_article(phrase: str) -> str:
    """ "apple" -> "an apple" """
    vowel = phrase.startswith(("a", "e", "i", "o", "u", "hour", "x-")) and not phrase.startswith(SOUNDS_LIKE_YOU)
    return f"{'an' if vowel else 'a'} {phrase}"


def named(rng: random.Random, thing: Thing, hue: str | None, tone: str | None) -> tuple[str, str]:
    """One thing, without and with its article: ("blue apple", "a blue apple")."""
    if hue:
        name = f"{hue} {thing.noun}"
    elif thing.synonyms and rng.random() < SYNONYMS:
        name = rng.choice(thing.synonyms)
    else:
        name = thing.name
    if tone:
        name = f"{name} with {tone} skin"
    return name, with_article(name) if thing.plural else name


def counted(rng: random.Random, scene: Scene) -> str:
    """ "three cats"; now and then only "cats" """
    n, many = len(scene.parts), table()[scene.parts[0].thing].plural
    if rng.random() < UNCOUNTED:
        return rng.choice((many, many, f"some {many}"))
    return f"{n if rng.random() < DIGITS else NUMBERS[n]} {many}"


def placed(rng: random.Random, scene: Scene, parts: list[tuple[str, str]]) -> tuple[str, str]:
    """Two things in the scene's relation, told from either side: ("cat left of car", "a cat left of a car")."""
    turned = rng.random() < 0.3
    relation = RELATIONS[scene.relation] if turned else scene.relation
    first, second = parts[::-1] if turned else parts
    link = rng.choices(RELATION_WORDS[relation], RELATION_SHARES)[0]
    return f"{first[0]} {link} {second[0]}", f"{first[1]} {link} {second[1]}"


def together(rng: random.Random, parts: list[tuple[str, str]]) -> tuple[str, str]:
    """Two or more things in any order: ("cat, dog and apple", "a cat, a dog and an apple")."""
    plain, articled = zip(*rng.sample(parts, len(parts)), strict=True)
    link = rng.choices(list(TOGETHER), list(TOGETHER.values()))[0] if len(parts) == 2 else "and"
    return tuple(f"{', '.join(words[:-1])} {link} {words[-1]}" for words in (plain, articled))


def subject(rng: random.Random, scene: Scene) -> tuple[str, str]:
    """What is shown, without and with articles."""
    if scene.kind == "count":
        return (text := counted(rng, scene)), text
    parts = [named(rng, table()[part.thing], part.hue, part.tone) for part in scene.parts]
    if len(parts) == 1:
        return parts[0]
    if scene.relation and rng.random() >= UNPLACED:
        return placed(rng, scene, parts)
    return together(rng, parts)


def caption(rng: random.Random, scene: Scene) -> str:
    """A scene in one of many wordings."""
    plain, articled = subject(rng, scene)
    style = scene.parts[0].style
    if rng.random() < TYPED:
        said = None if style == "3d" else STYLE_WORDS[style]
        return typed(rng, plain, articled, scene.background, said, len(scene.parts) == 1)
    words = STYLE_WORDS[style]
    if rng.random() < NO_BACKGROUND:
        return plain if style == "3d" else rng.choice((f"{plain}, {words}", f"{words} of {articled}"))
    wordings = UNSTYLED if style == "3d" else STYLED
    wording = rng.choices(list(wordings), list(wordings.values()))[0]
    return wording.format(
        s=plain, a=articled, b=scene.background, ab=with_article(scene.background), w=words, aw=with_article(words)
    )
