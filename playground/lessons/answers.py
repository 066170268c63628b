"""A prediction against what a run measured. Nothing here knows a right answer: only the run does."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from playground.lessons.lesson import Ask
from playground.lessons.numbers import extreme, place
from playground.measure.named import MEASURES, written
from playground.refusal import Refusal

TOO_CLOSE = 0.05  # of the range of all cells: nearer values are not told apart
SAME = 0.1  # of the larger one: nearer values are "about the same"
ENOUGH = 0.75  # of the pairs of cells, for a drawn curve
NIL = 0.05  # added to both sides of a ratio, so that options may be 0
TREND_WORDS = {"rises": "rises", "falls": "falls", "stays": "stays about the same"}
WANT_WORDS = {"highest": "largest", "lowest": "smallest"}


@dataclass(frozen=True)
class Verdict:
    right: bool
    sentence: str  # what was measured, beside what was predicted


def quoted(label: str) -> str:
    """In quotation marks, unless it has them."""
    return label if label.startswith("“") else f"“{label}”"


def choices(ask: Ask, cells: int) -> list[int]:
    """The cells that a pick chooses from: not the one that the others are held against."""
    reference = MEASURES[ask.measure].reference
    return [cell for cell in range(cells) if reference is None or cell != reference % cells]


def check_answer(ask: Ask, answer: Any, cells: int) -> Any:
    """What a page sent -> the answer. Raises Refusal, in one sentence, for one that is none or not complete."""
    if ask.kind == "curve" and answer is None:
        raise Refusal("Draw the curve first: at least one bar should stand higher than another. A wrong guess is fine.")
    if ask.kind == "order" and answer is None:
        raise Refusal("Put every picture into the order first; a wrong guess is fine.")
    if ask.kind == "trend":
        if isinstance(answer, str) and answer in TREND_WORDS:
            return answer
    elif ask.kind in ("pick", "number"):
        among = choices(ask, cells) if ask.kind == "pick" else range(len(ask.options))
        if _whole(answer) and answer in among:
            return answer
    elif ask.kind == "order":
        if isinstance(answer, list) and all(map(_whole, answer)) and sorted(answer) == list(range(cells)):
            return answer
    elif isinstance(answer, list) and len(answer) == cells and all(map(_height, answer)):
        return answer
    raise Refusal("Answer first; a wrong guess is fine.")


def judge(ask: Ask, answer: Any, labels: Sequence[str], values: Sequence[float | None]) -> Verdict:
    """A checked answer and what this run measured -> whether it came out so, and what did."""
    if ask.kind == "pick":
        return _pick(ask, answer, labels, values)
    if ask.kind == "trend":
        return _trend(ask, answer, labels, values)
    if ask.kind == "number":
        return _number(ask, answer, values)
    if ask.kind == "order":
        heights = [float(answer.index(cell)) for cell in range(len(labels))]
        return _pairs(heights, values, 1.0, "order")
    return _pairs(answer, values, ENOUGH, "curve")


def said(ask: Ask, answer: Any, labels: Sequence[str]) -> str:
    """A checked answer in words."""
    if ask.kind == "pick":
        return f"{labels[answer]}"
    if ask.kind == "trend":
        return f"It {TREND_WORDS[answer]}."
    if ask.kind == "number":
        return f"{ask.options[answer]:,g}"
    if ask.kind == "order":
        return "from the lowest to the highest: " + ", ".join(labels[cell] for cell in answer)
    return "drawn heights, " + ", ".join(f"{label}: {height:g}" for label, height in zip(labels, answer, strict=True))


def trend(values: Sequence[float | None]) -> str:
    """From the first to the last cell: rises, falls or stays, by a tenth of the larger one."""
    there = [value for value in values if value is not None]
    first, last = there[0], there[-1]
    if abs(last - first) <= SAME * max(abs(first), abs(last)):
        return "stays"
    return "rises" if last > first else "falls"


def as_expected(ask: Ask, values: Sequence[float | None]) -> bool | None:
    """Whether this run shows what the lesson says it usually does; None where it says nothing."""
    if not ask.expect:
        return None
    if ask.kind == "trend":
        return trend(values) == ask.expect
    return place(ask.expect, len(values)) in _best(ask, values)


def _best(ask: Ask, values: Sequence[float | None]) -> list[int]:
    """The cells with the extreme value, those too close to it included."""
    values = _chosen_from(ask, values)
    best = values[extreme(values, ask.want)]
    near = TOO_CLOSE * _range(values)
    return [i for i, value in enumerate(values) if value is not None and abs(value - best) <= near]


def _chosen_from(ask: Ask, values: Sequence[float | None]) -> list[float | None]:
    """The values that a pick is about; the others are None."""
    among = choices(ask, len(values))
    return [value if cell in among else None for cell, value in enumerate(values)]


def _pick(ask: Ask, answer: int, labels: Sequence[str], values: Sequence[float | None]) -> Verdict:
    at = extreme(_chosen_from(ask, values), ask.want)
    noun = f"{WANT_WORDS[ask.want]} {MEASURES[ask.measure].spoken}"
    told = f"The {noun} is {written(ask.measure, values[at])}, that of {quoted(labels[at])}"
    if answer == at:
        return Verdict(True, f"{told}, as you said.")
    yours = f"{quoted(labels[answer])} has {written(ask.measure, values[answer])}"
    if answer in _best(ask, values):
        return Verdict(True, f"{told}; {yours}, too close to tell apart.")
    return Verdict(False, f"{told}; {yours}.")


def _trend(ask: Ask, answer: str, labels: Sequence[str], values: Sequence[float | None]) -> Verdict:
    there = [i for i, value in enumerate(values) if value is not None]
    first, last = there[0], there[-1]
    ends = " to ".join(f"{written(ask.measure, values[i])} ({labels[i]})" for i in (first, last))
    found = trend(values)
    if answer == found:
        return Verdict(True, f"It {TREND_WORDS[found]}, as you said: from {ends}.")
    return Verdict(False, f"It {TREND_WORDS[found]}: from {ends}. You said that it {TREND_WORDS[answer]}.")


def _number(ask: Ask, answer: int, values: Sequence[float | None]) -> Verdict:
    at = place(ask.cell, len(values))
    value = None if at is None else values[at]
    if value is None:
        return Verdict(False, "This run has no such number.")
    nearest = min(range(len(ask.options)), key=lambda i: abs(math.log((ask.options[i] + NIL) / (value + NIL))))
    told = f"Measured: {written(ask.measure, value)}"
    if answer == nearest:
        exact = written(ask.measure, ask.options[answer]) == written(ask.measure, value)
        return Verdict(True, f"{told}, as you said." if exact else f"{told}; of the answers, yours is the nearest.")
    return Verdict(False, f"{told}; you said {ask.options[answer]:,g}.")


def _pairs(heights: Sequence[float], values: Sequence[float | None], enough: float, drawn: str) -> Verdict:
    near, right, count = TOO_CLOSE * _range(values), 0, 0
    for a, b in itertools.combinations(range(len(values)), 2):
        if values[a] is None or values[b] is None or abs(values[a] - values[b]) <= near:
            continue
        count += 1
        right += (values[a] < values[b]) == (heights[a] < heights[b]) and heights[a] != heights[b]
    if not count:
        return Verdict(True, f"In this run the cells are all too close to tell apart, so any {drawn} fits.")
    told = f"Of {count} pairs of cells that differ clearly, you put {right} the right way round."
    return Verdict(right >= enough * count, told)


def _range(values: Sequence[float | None]) -> float:
    there = [value for value in values if value is not None]
    return max(there) - min(there)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _height(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100
