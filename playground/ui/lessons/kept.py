"""What the browser keeps of the visitor's own runs: made here for it, and read again with suspicion."""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image

from playground.lessons.earlier import digest, measured_earlier, name_of
from playground.lessons.lesson import Lesson, Step
from playground.lessons.numbers import PLACEHOLDER
from playground.lessons.quiz import Case
from playground.lessons.runs.contract import Outcome
from playground.models import Facts
from playground.refusal import Refusal
from playground.ui.shared.html import data_url, escaped

SIDE = 128  # pixels at most of a kept picture; all lessons' together take half a megabyte of a browser's five
HIGHEST = 1e9  # of a number that a run could measure


def as_attribute(lesson: Lesson, step: int, outcome: Outcome, facts: Facts) -> str:
    """A run just made, for the page to put away; numbers as `earlier.keep` writes them."""
    values = {name: [v if v is None else round(v, 6) for v in vs] for name, vs in outcome.values.items()}
    data = {
        "name": name_of(lesson, step),
        "of": mark(lesson.steps[step], facts),
        "values": values,
        "pictures": [data_url(_small(picture), exact=False) for picture in outcome.pictures],
    }
    return f' data-run="{escaped(json.dumps(data))}"'


def mark(step: Step, facts: Facts) -> str:
    """16 digits over what was run and by which model; a run kept under another mark is of another lesson."""
    return hashlib.sha256(f"{digest(step.run)} {facts.name}".encode()).hexdigest()[:16]


def cases(lessons: Sequence[Lesson], facts: Facts, kept: Any) -> dict[str, Case]:
    """By the step's name, all steps whose run exists: `kept`, {name: {of, values}} as the browser says it, else drawn
    earlier. What is no run of ours is passed over."""
    kept = kept if isinstance(kept, dict) else {}
    return {case.name: case for case in _cases(lessons, facts, kept)}


def _cases(lessons: Sequence[Lesson], facts: Facts, kept: dict[str, Any]) -> Iterator[Case]:
    for lesson in lessons:
        for i, step in enumerate(lesson.steps):
            if step.run is None:
                continue
            try:
                labels = step.run.labels(facts)
            except Refusal:
                continue  # not with this model
            name = name_of(lesson, i)
            own = _values(kept.get(name), step, mark(step, facts), len(labels))
            values = own or measured_earlier(lesson, i, facts)
            if values:
                in_order = step.ask is not None and step.ask.kind in ("trend", "curve")
                yield Case(name, labels, values, _about(step), in_order, own is not None)


def _about(step: Step) -> tuple[str, ...]:
    """The measures that a step asks for or speaks of, each once."""
    named = [words.split()[0] for words in PLACEHOLDER.findall(step.after) if words.split()]
    asked = [step.ask.measure] if step.ask else []
    return tuple(dict.fromkeys(name for name in [*asked, *named] if name in step.run.measures))


def _values(found: Any, step: Step, of: str, cells: int) -> dict[str, tuple[float | None, ...]] | None:
    """None where it is not this run, or not whole."""
    if not isinstance(found, dict) or found.get("of") != of or not isinstance(found.get("values"), dict):
        return None
    values = {}
    for measure in step.run.measures:
        numbers = found["values"].get(measure)
        if isinstance(numbers, list) and len(numbers) == cells and all(map(_number, numbers)):
            values[measure] = tuple(numbers)
    return values or None


def _number(value: Any) -> bool:
    if value is None:
        return True
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= HIGHEST


def _small(picture: Image.Image) -> Image.Image:
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return small
