"""What a scene shows, in words: exact, and worded anew each time from a random.Random.

A picture in the 3D style may leave its style unsaid, so that "red apple, blue background" means a 3D render; the other
styles are always named.
"""

import random

from .scenes import RELATIONS, Scene
from .things import Thing, table

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
NO_BACKGROUND = 0.05  # share of the captions that leave the background unsaid
SYNONYMS = 0.12  # share of the names that are replaced by another true name, where there is one
DIGITS = 0.15  # share of the counts written as a digit
NUMBERS = {2: "two", 3: "three", 4: "four"}
RELATION_WORDS = {
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
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


def subject(rng: random.Random, scene: Scene) -> tuple[str, str]:
    """What is shown, without and with articles."""
    if scene.kind == "count":
        n = len(scene.parts)
        text = f"{n if rng.random() < DIGITS else NUMBERS[n]} {table()[scene.parts[0].thing].plural}"
        return text, text
    parts = [named(rng, table()[part.thing], part.hue, part.tone) for part in scene.parts]
    if len(parts) == 1:
        return parts[0]
    if scene.kind == "coloured":  # where they are is not said, so either may be said first
        first, second = rng.sample(parts, 2)
        link = "and"
    else:
        turned = rng.random() < 0.3
        relation = RELATIONS[scene.relation] if turned else scene.relation
        first, second = parts[::-1] if turned else parts
        link = rng.choices(RELATION_WORDS[relation], (0.7, 0.3))[0]
    return f"{first[0]} {link} {second[0]}", f"{first[1]} {link} {second[1]}"


def caption(rng: random.Random, scene: Scene) -> str:
    """A scene in one of many wordings."""
    plain, articled = subject(rng, scene)
    style = STYLE_WORDS[scene.parts[0].style]
    if rng.random() < NO_BACKGROUND:
        if scene.parts[0].style == "3d":
            return plain
        return rng.choice((f"{plain}, {style}", f"{style} of {articled}"))
    wordings = UNSTYLED if scene.parts[0].style == "3d" else STYLED
    wording = rng.choices(list(wordings), list(wordings.values()))[0]
    return wording.format(
        s=plain, a=articled, b=scene.background, ab=with_article(scene.background), w=style, aw=with_article(style)
    )
