"""AUTOMATIC1111's marks in a prompt: (word) and [word], (word:1.2), nested, escaped, and BREAK.

The grammar is that of its wiki, https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/Features, under
"Attention/emphasis" and "BREAK"; what it leaves open, such as brackets without a partner, is as that program does it.
"""

import re
from typing import NamedTuple

from playground.refusal import Refusal

STEP = 1.1  # (word) is multiplied by it, [word] divided
WEIGHT_RANGE = (-10.0, 10.0)  # of a word, all its brackets multiplied; AUTOMATIC1111 has no limit
_MARK = re.compile(
    r"\\(?P<escaped>[()\[\]\\]?)"  # a backslash is gone, and a mark behind it is a letter
    r"|(?P<opened>[(\[])"
    r"|(?P<weight>:\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*\))"
    r"|(?P<closed>[)\]])"
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")


class Part(NamedTuple):
    """A stretch of a prompt of one weight, without the marks."""

    text: str
    weight: float = 1.0
    breaks: bool = False  # BREAK stands before it: it begins a chunk of its own


def parse(text: str) -> list[Part]:
    """A prompt -> its parts in order, at least one; neighbours of equal weight are one part.

    A bracket that is never closed ends with the text, one that was never opened is a letter. BREAK also breaks inside
    brackets, where AUTOMATIC1111 reads it as a word.
    """
    found: list[Part] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}  # of each bracket that is open, the first of its parts
    at = 0
    for mark in _MARK.finditer(text):
        _add(found, text[at : mark.start()])
        at = mark.end()
        if mark["opened"]:
            opened[mark["opened"]].append(len(found))
        elif mark["weight"] and opened["("]:
            _multiply(found, opened["("].pop(), float(mark["weight"][1:-1]))
        elif mark["closed"] == ")" and opened["("]:
            _multiply(found, opened["("].pop(), STEP)
        elif mark["closed"] == "]" and opened["["]:
            _multiply(found, opened["["].pop(), 1 / STEP)
        else:
            found.append(Part(mark["escaped"] if mark["escaped"] is not None else mark[0]))
    _add(found, text[at:])
    for first in opened["("]:
        _multiply(found, first, STEP)
    for first in opened["["]:
        _multiply(found, first, 1 / STEP)
    return _joined(found)


def has_marks(text: str) -> bool:
    """Whether a prompt says something else where marks are read."""
    return parse(text) != [Part(text)]


def check_weights(name: str, text: str) -> None:
    """Raises Refusal, with a sentence that begins with the field's name, where a word weighs too much to be drawn."""
    low, high = WEIGHT_RANGE
    for part in parse(text):
        if not low <= part.weight <= high:
            raise Refusal(f"{name} has a word of weight {part.weight:.6g}; weights must be from {low:g} to {high:g}.")


def _add(found: list[Part], text: str) -> None:
    first, *others = _BREAK.split(text)
    if first:
        found.append(Part(first))
    found += [Part(other, breaks=True) for other in others]


def _multiply(found: list[Part], first: int, by: float) -> None:
    found[first:] = [part._replace(weight=part.weight * by) for part in found[first:]]


def _joined(found: list[Part]) -> list[Part]:
    joined: list[Part] = []
    for part in found:
        if joined and part.weight == joined[-1].weight and not part.breaks:
            joined[-1] = joined[-1]._replace(text=joined[-1].text + part.text)
        else:
            joined.append(part)
    return [part for part in joined if part.text or part.breaks] or [Part("")]
