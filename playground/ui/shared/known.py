"""What can it draw: the words that the embedded model was shown, and what a prompt has beyond them."""

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import gradio as gr

from playground.emphasis import parse
from playground.labels import FIELD_NAMES
from playground.models import REGISTERED
from playground.models.words import Words
from playground.recipe import PROMPT_LIMIT
from playground.ui.shared.html import escaped
from playground.ui.shared.shipped import SHIPPED

SWITCH = f"“{FIELD_NAMES['prompt_weights']}” under “Everything else”"
PAUSES = frozenset(",.;:")
MOST_NAMED = 8  # words in one sentence
WEIGHT = re.compile(r":\s*\d+(\.\d+)?\s*(?=\))")  # of emphasis; its digits are nothing to be drawn
EMPHASIS = re.compile(r"\([^()]+:\s*\d+(\.\d+)?\s*\)|\(\(+[^()]+\)\)+|\[[^\[\]]+\]")
EDITING = re.compile(r"\[[^\[\]]*[:|][^\[\]]*\]")  # AUTOMATIC1111's words that change during a run
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


def marks(text: str, cut: Words, found: Known | None, can_weigh: bool = False) -> str:
    """HTML under the prompt: what the model does not know of it, what no longer fits, and how its marks are read.

    `cut` is the text as the model's tokenizer cuts it; `can_weigh`: the model could read marks as weights.
    """
    plain = "".join(part.text for part in parse(text)) if cut.chunks else WEIGHT.sub(" ", text)
    told = _strange(plain, found)
    if cut.truncated:
        lost = _named(_lost(cut))
        way = f" With {SWITCH} all of it is read, in chunks." if can_weigh else cut.besides and f" {cut.besides}"
        told.append(
            f"Cut off, because {cut.reader} reads {cut.limit} tokens and this takes {cut.needed:,}: {lost}.{way}"
        )
    told += _weighed(text, cut) if cut.chunks else _letters(text, can_weigh)
    return "".join(f'<p class="dp-marks">{sentence}</p>' for sentence in told)


def marks_of_lines(lines: Sequence[str], cuts: Sequence[Words], found: Known | None) -> str:
    """HTML under an editor whose lines are prompts, or words of them, each with its cut: what is beyond the model in
    any of them. How marks are read is said at the prompt."""
    weights = any(cut.chunks for cut in cuts)
    plain = (" ".join(part.text for part in parse(line)) if weights else WEIGHT.sub(" ", line) for line in lines)
    told = _strange("\n".join(plain), found)
    for line, cut in zip(lines, cuts, strict=True):
        if cut.truncated:
            which = f"“{escaped(line[:30])}…” is" if len(lines) > 1 else "It is"
            more = cut.besides and f" {cut.besides}"
            told.append(f"{which} cut off, because {cut.reader} reads {cut.limit} tokens: {_named(_lost(cut))}.{more}")
    return "".join(f'<p class="dp-quiet dp-marks">{sentence}</p>' for sentence in told)


def place(elem_id: str) -> gr.HTML:
    """Where that stands; without anything to say it takes no room."""
    return gr.HTML("", elem_classes="dp-beyond dp-flush", elem_id=elem_id)


def within(text: object) -> str:
    """A text as it was typed; empty where it is none, or is longer than a recipe's may be, which is said elsewhere."""
    return text if isinstance(text, str) and len(text) <= PROMPT_LIMIT else ""


def _strange(plain: str, found: Known | None) -> list[str]:
    """What the model was never shown of a text without its marks."""
    strange = unknown_words(plain, found.words) if found else []
    of = "it" if len(strange) == 1 else "them"
    return [f"Never shown to this model: {_named(strange)}. What comes of {of} is chance."] if strange else []


def _lost(cut: Words) -> list[str]:
    """The words that do not fit, without the marks between them, unless nothing else is lost."""
    words = [word.text for word in cut.truncated]
    return [word for word in words if word not in PAUSES] or words


def _letters(text: str, can_weigh: bool) -> list[str]:
    if not (emphasis := [mark[0] for mark in EMPHASIS.finditer(text)]):
        return []
    are = "is" if len(emphasis) == 1 else "are"
    way = f"{SWITCH} makes them weights" if can_weigh else "this model has no weights for words"
    return [f"{_named(emphasis)} {are} read as letters; {way}."]


def _weighed(text: str, cut: Words) -> list[str]:
    """What the marks were read as, and how many chunks the tokens fill."""
    found = []
    parts = [part for part in parse(text) if part.weight != 1 and part.text.strip()]
    if parts:  # not marked: nothing is wrong with them
        shown = [f"“{escaped(part.text.strip()[:30])}” {part.weight:.4g}" for part in parts[:MOST_NAMED]]
        more = f" and {len(parts) - MOST_NAMED} more" if len(parts) > MOST_NAMED else ""
        found.append(f"Read as weights: {', '.join(shown)}{more}.")
    if editing := [mark[0] for mark in EDITING.finditer(text)]:
        found.append(
            f"{_named(editing)}: words that change during a run are not known here; the brackets are a weight."
        )
    if cut.chunks > 1:
        found.append(f"Read in {cut.chunks} chunks of up to {cut.limit // cut.chunks - 2} tokens.")
    return found


def surprise(found: Known, rng: random.Random) -> str:
    """A prompt that the model was taught to draw, worded as it was taught."""
    return f"{rng.choice(found.common)}, {rng.choice(found.colours)} background"


def _named(words: list[str]) -> str:
    shown = [f"<mark>{escaped(word[:40])}</mark>" for word in words[:MOST_NAMED]]
    return ", ".join(shown) + (f" and {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else "")
