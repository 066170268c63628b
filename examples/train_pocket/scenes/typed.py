"""Captions as people type them: a request around what is shown, mostly without a background.

The words around it ask politely, praise, or say whose it is; none claims anything that could be seen and is not there.
Many are not in the tokenizer's vocabulary and come in pieces: a prompt with unknown words beside known ones must still
give the known thing. The tokenizer lowers every letter, so that case needs no lesson.
"""

import random

NO_BACKGROUND = 0.6  # share of these captions that leave the background unsaid
PRAISED = 0.3  # share with an adjective before a single thing, or behind everything
# {a} the subject with articles, {s} without
REQUESTS = {
    "{a}": 12, "{s}": 14, "a photo of {a}": 5, "photo of {a}": 3, "picture of {a}": 5, "a picture of {a}": 4,
    "an image of {a}": 3, "image of {s}": 2, "a drawing of {a}": 2, "draw {a}": 5, "draw me {a}": 5, "draw {s}": 2,
    "draw {a} please": 2, "please draw {a}": 3, "please draw me {a}": 2, "can you draw {a}": 2,
    "could you please draw me {a}": 1, "hello, can you draw {a} please": 1, "hi, i want {a}": 1, "i want {a}": 2,
    "i would like {a}": 1, "show me {a}": 2, "give me {a}": 1, "make {a}": 1, "make me a picture of {a}": 1,
    "create an image of {a}": 1, "generate {a}": 1, "i need a picture of {a}": 1, "just {a}": 1, "{a} please": 3,
    "{s} please": 2, "{a}, thank you": 1, "there is {a}": 1, "this is {a}": 1, "a render of {a}": 1, "{a} emoji": 1,
}  # fmt: skip
OWNERS = ("my", "the", "our", "your", "this", "her", "his", "grandma's", "my friend's", "my daughter's")
OWNED = 0.18  # share of the single things whose article gives way to one of these
PRAISE = (
    "beautiful cute nice lovely pretty funny awesome amazing great wonderful simple cool fancy perfect magical epic "
    "majestic gorgeous adorable realistic detailed famous favourite special ordinary typical random delicious modern"
).split()
BEHIND = (
    "high quality", "highly detailed", "4k", "8k", "hd", "masterpiece", "best quality", "trending on artstation",
    "professional", "for my presentation", "for school", "for a birthday card", "centered", "beautiful",
    "ultra realistic",
    "sharp focus", "very nice", "clean", "as you like", "asap", "thanks", "render", "wallpaper", "icon please",
)  # fmt: skip
BACKGROUNDS = {
    "on {b}": 5, "on {ab} background": 4, ", {b} background": 6, "with {ab} background": 3, "with {b} background": 2,
    "in front of {ab} background": 1, "against {ab} background": 1, "on {b} background": 2, "{b} bg": 1, ", {b}": 1,
    "background {b}": 1, "in front of a {b} wall": 1,
}  # fmt: skip


def weighted(rng: random.Random, choices: dict[str, int]) -> str:
    return rng.choices(list(choices), list(choices.values()))[0]


def typed(rng: random.Random, plain: str, articled: str, background: str, style: str | None, single: bool) -> str:
    """ "cat", "a cat", "blue" -> "picture of my cat on blue"; a style that is not None is always named.

    single: the subject is one thing, which may be owned or praised.
    """
    one = single and articled != plain
    if one and rng.random() < OWNED:
        articled = f"{rng.choice(OWNERS)} {plain}"
    elif one and rng.random() < PRAISED:
        praise = rng.choice(PRAISE)
        plain = f"{praise} {plain}"
        articled = f"{'an' if praise[0] in 'aeiou' else 'a'} {plain}"
    if style:
        words = rng.choice((f"{articled}, {style}", f"{style} of {articled}", f"{plain} {style}"))
    else:
        words = weighted(rng, REQUESTS).format(s=plain, a=articled)
    if rng.random() >= NO_BACKGROUND:
        article = "an" if background == "orange" else "a"
        words += (
            (" " + weighted(rng, BACKGROUNDS)).replace(" ,", ",").format(b=background, ab=f"{article} {background}")
        )
    if rng.random() < PRAISED / 2:
        words += f", {rng.choice(BEHIND)}"
    return words
