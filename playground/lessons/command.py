"""`python -m playground lessons check FILE…`: reads every lesson, runs every step, says what is wrong in which line."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from playground.engine import Engine
from playground.lessons import numbers
from playground.lessons.answers import as_expected
from playground.lessons.lesson import Lesson, Step
from playground.lessons.reader import read_file
from playground.lessons.runs.contract import SECONDS, Outcome
from playground.lessons.shelf import files_of
from playground.measure.named import MEASURES, written
from playground.refusal import Refusal
from playground.store import Store


def check(paths: Sequence[str]) -> int:
    """Files, or folders of them -> 0 where all is well, else 1; one line for each step or fault is printed."""
    faults = 0
    lessons = []
    for path in _files(paths):
        try:
            lessons.append((path.name, read_file(path)))
        except Refusal as problem:
            faults += 1
            print(problem)
    engines: dict[str, Engine] = {}
    for name, lesson in lessons:
        print(f"{name}: {lesson.title}, {len(lesson.steps)} steps")
        for fault, line, text in ran(lesson, engines):
            faults += fault
            print(f"{name}, line {line}: {text}" if fault else f"  line {line}: {text}")
    if not paths or not (lessons or faults):
        print("There is no lesson to check.")
        return 1
    print(f"{faults} {'fault' if faults == 1 else 'faults'}.")
    return 1 if faults else 0


def ran(lesson: Lesson, engines: dict[str, Engine]) -> Iterator[tuple[bool, int, str]]:
    """Runs every step with the model that the lesson is written for -> (is a fault, line, sentence)."""
    try:
        engine = engines.get(lesson.model) or engines.setdefault(lesson.model, _opened(lesson.model))
    except Refusal as problem:
        yield True, 1, str(problem)
        return
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for step in lesson.steps:
            if step.run is None:
                yield False, step.line, f"{step.title}: to read"
                continue
            try:
                labels = step.run.labels(engine.facts)
                *_, outcome = step.run.perform(engine, store)
            except Refusal as problem:
                yield True, step.line, str(problem)
                continue
            yield from told(step, labels, outcome, numbers.facts_of(engine.facts))
        store.close()


def told(step: Step, labels: Sequence[str], outcome: Outcome, facts: dict[str, str]) -> Iterator[tuple[bool, int, str]]:
    """What is to be said of a step that ran."""
    long = f", longer than the {SECONDS} s that a step should take" if outcome.seconds > SECONDS else ""
    yield False, step.line, f"{step.title}: ran in {outcome.seconds:.1f} s{long}"
    for offset, line in enumerate(step.after.splitlines()):
        for match in numbers.PLACEHOLDER.finditer(line):
            if numbers.filled(match[0], facts, labels, outcome.values) == "–":
                yield True, step.after_line + offset, f"{match[0]} was not measured: the run has {len(labels)} cells."
    if step.ask is None:
        return
    found = outcome.values.get(step.ask.measure, ())
    decided = [value for value in found if value is not None]
    if len(decided) < (1 if step.ask.kind == "number" else 2):
        yield (
            True,
            step.ask.line,
            f"The run does not decide the question: “{step.ask.measure}” has {len(decided)} values.",
        )
        return
    if (
        step.ask.kind == "number"
        and (at := numbers.place(step.ask.cell, len(found))) is None
        or (step.ask.kind == "number" and found[at] is None)
    ):
        yield True, step.ask.line, "The cell that the question is about has no value."
        return
    shown = ", ".join(f"{label} {written(step.ask.measure, v)}" for label, v in zip(labels, found, strict=True))
    yield False, step.ask.line, f"{MEASURES[step.ask.measure].label}: {shown}"
    if as_expected(step.ask, found) is False:
        yield False, step.ask.line, f"this run is an exception: {step.ask.expect} was expected"


def _opened(model: str) -> Engine:
    from playground.engine import open_engine  # loads the model's libraries, which reading a file does not need

    return open_engine(model)


def _files(paths: Sequence[str]) -> Iterator[Path]:
    for path in map(Path, paths):
        yield from files_of(path) if path.is_dir() else [path]
