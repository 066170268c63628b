"""What can it draw: the words that the embedded model was shown, and what a prompt has beyond them."""

import json
import random
import re
from dataclasses import dataclass
from functools import lru_cache

from playground.models import REGISTERED
from playground.models.words import Words
from playground.ui.shared.html import escaped
from playground.ui.shared.shipped import SHIPPED

MOST_NAMED = 8  # words in one sentence
WEIGHT = re.compile(r":\s*\d+(\.\d+)?\s*(?=\))")  # of emphasis; its digits are nothing to be drawn
EMPHASIS = re.compile(r"\([^()]+:\s*\d+(\.\d+)?\s*\)|\(\(+[^()]+\)\)+|\[[^\[\]]+\]")
WORD = re.compile(r"[\w'’-]+")
SYMBOL = re.compile(r"[^\w\s.,;:!?'’‘“”\"()\[\]{}<>/&+*%$#@=|\\^~`…–—-]\ufe0f?")  # such as an emoji


@dataclass(frozen=True)
class Known:
    """What examples/train_pocket/knows.py wrote of its training data."""

    common: tuple[str, ...]  # things shown most often
    rare: tuple[str, ...]  # things shown seldom
    colours: tuple[str, ...]
    styles: tuple[str, ...]
    words: frozenset[str]  # every single word of its captions


@lru_cache
def known(model: str) -> Known | None:
    """Of the model of this name; None for those of which nothing is known."""
    if model != SHIPPED:
        return None
    data = json.loads((REGISTERED[SHIPPED] / "knows.json").read_text(encoding="utf-8"))
    lists = {name: tuple(data[name]) for name in ("common", "rare", "colours", "styles")}
    return Known(**lists, words=frozenset(data["words"]))


def unknown_words(text: str, words: frozenset[str]) -> list[str]:
    """The words and symbols of a prompt that were in none of the captions, each once, in order."""
    found = [word for word in WORD.findall(text) if word.strip("-'’") and not _said(word.lower(), words)]
    return list(dict.fromkeys(found + SYMBOL.findall(text)))


def _said(word: str, words: frozenset[str]) -> bool:
    plain = word.strip("-'’")
    whole = plain in words or re.sub(r"['’]s$", "", plain) in words
    return whole or ("-" in plain and all(part in words for part in plain.split("-")))


def marks(text: str, cut: Words, found: Known | None) -> str:
    """HTML under the prompt: what the model does not know of it, what no longer fits, and marks that it does not read.

    `cut` is the text as the model's tokenizer cuts it.
    """
    told = []
    if found and (strange := unknown_words(WEIGHT.sub(" ", text), found.words)):
        told.append(f"Never shown to this model: {_named(strange)}. What it makes of them is chance.")
    if cut.truncated:
        lost = _named([word.text for word in cut.truncated])
        told.append(f"Cut off, because the model reads {cut.limit} tokens and this takes {cut.needed}: {lost}.")
    if emphasis := [mark[0] for mark in EMPHASIS.finditer(text)]:
        are = "is" if len(emphasis) == 1 else "are"
        told.append(f"{_named(emphasis)} {are} read as letters; emphasis in brackets is not known here.")
    return "".join(f'<p class="dp-marks">{sentence}</p>' for sentence in told)


def from_card(card: str) -> str:
    """HTML: what the card of a model says that is not known here otherwise; nothing where it says nothing."""
    told = f"From its card: {escaped(card)}"
    return f'<details class="dp-known"><summary>What can it draw?</summary><p>{told}</p></details>' if card else ""


def surprise(found: Known, rng: random.Random) -> str:
    """A prompt that the model was taught to draw, worded as it was taught."""
    return f"{rng.choice(found.common)}, {rng.choice(found.colours)} background"


def _named(words: list[str]) -> str:
    shown = [f"<mark>{escaped(word[:40])}</mark>" for word in words[:MOST_NAMED]]
    return ", ".join(shown) + (f" and {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else "")
