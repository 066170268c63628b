"""Everybody's answers as bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from playground.classroom.pushed import Pushed
from playground.lessons.numbers import extreme


@dataclass(frozen=True)
class Bar:
    label: str
    share: float  # its length, 0 … 1
    written: str  # "7", or the mean of a drawn height
    right: bool = False  # what was measured; only once that is known


def bars(
    pushed: Pushed, answers: Sequence[Any], values: Mapping[str, Sequence[float | None]], order: Sequence[int] = ()
) -> list[Bar]:
    """One bar for each answer that can be given: how many gave it. Of an order, how many put each cell highest; of
    drawn curves, their mean height. `order`: in which a vote's bars stand."""
    cells = range(len(pushed.labels))
    if pushed.ask is not None and pushed.ask.kind == "curve":
        means = [sum(answer[cell] for answer in answers) / len(answers) if answers else 0.0 for cell in cells]
        return [Bar(label, mean / 100, f"{mean:.0f}") for label, mean in zip(pushed.labels, means, strict=True)]
    if pushed.ask is not None and pushed.ask.kind == "order":
        tops, found = [answer[-1] for answer in answers], values.get(pushed.ask.measure)
        top = extreme(found, "highest") if found and any(value is not None for value in found) else None
        return [_count(pushed.labels[cell], tops.count(cell), len(tops), cell == top) for cell in cells]
    options = pushed.options()
    options = [options[i] for i in order] if order else options
    return [
        _count(words, answers.count(answer), len(answers), bool(pushed.is_right(answer, values)))
        for answer, words in options
    ]


def explained(pushed: Pushed) -> str:
    """What the bars are, in one sentence."""
    if pushed.kind == "vote":
        return "Votes for each picture."
    kind = pushed.ask.kind if pushed.ask else ""
    if kind == "curve":
        return "Mean height of all drawn curves, from 0 to 100."
    if kind == "order":
        return "How many put each picture highest."
    return "How many gave each answer."


def came_true(
    pushed: Pushed, answers: Sequence[Any], values: Mapping[str, Sequence[float | None]]
) -> tuple[int, int] | None:
    """(as predicted, all answers); None where nothing was measured, or nothing answered."""
    found = [pushed.is_right(answer, values) for answer in answers]
    if not found or None in found:
        return None
    return sum(map(bool, found)), len(found)


def _count(label: str, count: int, of: int, right: bool = False) -> Bar:
    return Bar(label, count / of if of else 0.0, str(count), right)
