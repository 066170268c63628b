"""Questions over runs that exist, made of what was measured in them. Which answer is right, only the values say.

Numbers that are within rounding of each other, or too close to be told apart, are never asked about.
"""

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from playground.lessons.answers import SAME, TOO_CLOSE, TREND_WORDS, quoted, trend
from playground.measure.named import MEASURES, written
from playground.refusal import Refusal

COUNT = 10  # questions of a quiz, where there is enough to ask
MOST_EACH = 2  # questions over one step
MOST_CELLS = 4  # of a question
NEAR = 0.05  # of the larger one: nearer values are not asked about
SEEN = 1 / 3  # the same where the number alone is to be seen in a picture
DOUBT = 2.0  # a change between SAME / DOUBT and SAME * DOUBT is neither clearly none nor clearly one
KINDS = ("larger", "order", "picture", "trend")
VISIBLE = ("clipped", "saturation", "sharpness", "areas", "signal", "edge")  # can be seen in a picture alone
HELD: Mapping[str, tuple[str, slice]] = {  # what a measure is a difference from: which cells, and how they are called
    "distance": ("The first picture", slice(1)),
    "distance_to_last": ("The last picture", slice(-1, None)),
    "change_left": ("The last picture", slice(-1, None)),
    "apart": ("Another picture", slice(None)),
}


@dataclass(frozen=True)
class Case:
    """A step whose run exists."""

    name: str  # as `earlier.name_of` says it
    labels: Sequence[str]
    values: Mapping[str, Sequence[float | None]]  # by measure, one for each cell
    measures: tuple[str, ...]  # what the step is about
    in_order: bool  # its cells stand in an order, so something can rise along them
    own: bool  # the visitor's run, not one drawn beforehand


@dataclass(frozen=True)
class Question:
    kind: str  # one of KINDS
    name: str  # the case's
    measure: str
    cells: tuple[int, ...]  # what it is about, as they are shown; trend: the first and the last
    own: bool
    asked: float = 0.0  # picture: the measured number that is looked for


def build(cases: Sequence[Case], seed: int) -> tuple[Question, ...]:
    """Up to COUNT questions, the same ones for the same cases and seed: the visitor's own runs first, then the others,
    with as many kinds as they allow. Empty where nothing can be asked."""
    rng = random.Random(seed)
    pools = {case.name: _possible(case, rng) for case in cases}
    kinds: Counter[str] = Counter()
    found: list[Question] = []
    for own in (True, False):
        names = [case.name for case in cases if case.own is own]
        rng.shuffle(names)
        for name in names * MOST_EACH:
            pool = pools[name]
            if len(found) == COUNT or not pool:
                continue
            least = min(kinds[question.kind] for question in pool)
            chosen = rng.choice([question for question in pool if kinds[question.kind] == least])
            kinds[chosen.kind] += 1
            found.append(chosen)
            # its feedback will tell all about this measure
            pools[name] = [question for question in pool if question.measure != chosen.measure]
    rng.shuffle(found)
    return tuple(found)


def text(question: Question, labels: Sequence[str]) -> str:
    """The question as a sentence."""
    noun = MEASURES[question.measure].spoken
    if question.kind == "larger":
        return f"Which of these had the larger {noun}?"
    if question.kind == "order":
        return f"Put these in order by their {noun}, from the lowest to the highest."
    if question.kind == "picture":
        return f"In which of these pictures was the {noun} measured as {written(question.measure, question.asked)}?"
    first, last = (labels[cell] for cell in question.cells)
    return f"From {quoted(first)} to {quoted(last)}: does the {noun} rise, fall or stay about the same?"


def held_against(question: Question, labels: Sequence[str]) -> dict[int, str]:
    """Cells that one must see to answer besides those that are asked about -> what stands under them."""
    called, which = HELD.get(question.measure, ("", slice(0)))
    return {cell: f"{called}: {labels[cell]}" for cell in range(len(labels))[which] if cell not in question.cells}


def right(question: Question, values: Sequence[float | None]) -> Any:
    """The answer that these measured values give, in the shape that `check` takes."""
    if question.kind == "larger":
        return max(question.cells, key=lambda cell: values[cell])
    if question.kind == "order":
        return sorted(question.cells, key=lambda cell: values[cell])
    if question.kind == "picture":
        return min(question.cells, key=lambda cell: abs(values[cell] - question.asked))
    return trend([values[cell] for cell in question.cells])


def check(question: Question, answer: Any) -> Any:
    """A cell, all cells in an order, or a trend. Raises Refusal, in one sentence, for what is none of them."""
    if question.kind == "trend":
        if isinstance(answer, str) and answer in TREND_WORDS:
            return answer
    elif question.kind == "order":
        whole = isinstance(answer, list) and all(type(cell) is int for cell in answer)
        if whole and sorted(answer) == sorted(question.cells):
            return answer
        if answer is None:
            raise Refusal("Put all of them into an order first; a wrong guess is fine.")
    elif type(answer) is int and answer in question.cells:
        return answer
    raise Refusal("Choose an answer first; a wrong guess is fine.")


def told(question: Question, labels: Sequence[str], values: Sequence[float | None]) -> str:
    """What was measured, as a sentence."""
    numbers = [f"{quoted(labels[cell])}: {written(question.measure, values[cell])}" for cell in question.cells]
    said = f" So it {TREND_WORDS[right(question, values)]}." if question.kind == "trend" else ""
    return f"Measured {MEASURES[question.measure].spoken}: {'; '.join(numbers)}.{said}"


def unit(measure: str) -> float:
    """The smallest difference that its written numbers show."""
    form = MEASURES[measure].written
    return 0.01 if form == "%" else 10.0 ** -int(re.search(r"\.(\d)f", form)[1])


def told_apart(measure: str, values: Sequence[float | None], cells: Sequence[int], near: float) -> list[int]:
    """Up to MOST_CELLS of these, no two of them nearer than this share of the larger one."""
    least = max(unit(measure), TOO_CLOSE * (max(values[cell] for cell in cells) - min(values[cell] for cell in cells)))
    apart: list[int] = []
    for cell in cells:
        others = [(abs(values[cell] - values[other]), max(abs(values[cell]), abs(values[other]))) for other in apart]
        if all(gap > least and gap > near * larger for gap, larger in others):
            apart.append(cell)
    return apart[:MOST_CELLS]


def _possible(case: Case, rng: random.Random) -> list[Question]:
    """At most one question of each kind for each measure."""
    found = []
    for measure in case.measures:
        values = case.values.get(measure, ())
        cells = _cells(measure, values)
        if len(cells) < 2:
            continue
        rng.shuffle(cells)
        apart, seen = (told_apart(measure, values, cells, near) for near in (NEAR, SEEN))
        if len(apart) >= 2:
            found.append(Question("larger", case.name, measure, tuple(apart[:2]), case.own))
        if len(apart) >= 3:
            found.append(Question("order", case.name, measure, tuple(apart), case.own))
        if len(seen) >= 3 and measure in VISIBLE:
            asked = values[rng.choice(seen)]
            found.append(Question("picture", case.name, measure, tuple(seen), case.own, asked))
        ends = (min(cells), max(cells))
        if case.in_order and _clear_change(measure, values[ends[0]], values[ends[1]]):
            found.append(Question("trend", case.name, measure, ends, case.own))
    return found


def _cells(measure: str, values: Sequence[float | None]) -> list[int]:
    """Those with a number that was not settled before: the first is never away from the first."""
    reference = MEASURES[measure].reference
    settled = None if reference is None or not values else reference % len(values)
    return [i for i, value in enumerate(values) if value is not None and i != settled]


def _clear_change(measure: str, first: float, last: float) -> bool:
    """Whether nobody could argue over rises, falls and stays."""
    gap, larger = abs(last - first), max(abs(first), abs(last))
    if larger < unit(measure):
        return False  # both are written as nothing
    return gap <= SAME / DOUBT * larger or (gap >= SAME * DOUBT * larger and gap > unit(measure))
