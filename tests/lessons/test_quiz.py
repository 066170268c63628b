"""The stated right answer always agrees with the values, and near ties are never asked."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.lessons.answers import TREND_WORDS, trend
from playground.lessons.earlier import FOLDER, MEASURED, name_of
from playground.lessons.quiz import COUNT, MOST_EACH, Case, Question, build, check, right, text, told, unit
from playground.lessons.shelf import shelf
from playground.measure.named import written
from playground.refusal import Refusal

MEASURES = ("sharpness", "clipped", "distance", "distance_to_last", "areas")
SHIPPED = json.loads((FOLDER / MEASURED).read_text("utf-8"))
NUMBERS = st.one_of(st.none(), st.floats(0, 1), st.floats(0, 250), st.sampled_from([0.0, 0.1, 5.0, 5.04, 5.1, 100.0]))


@st.composite
def a_case(draw: st.DrawFn, name: str) -> Case:
    cells = draw(st.integers(2, 8))
    values = {m: tuple(draw(st.lists(NUMBERS, min_size=cells, max_size=cells))) for m in MEASURES}
    labels = [f"cell {i}" for i in range(cells)]
    return Case(name, labels, values, MEASURES, draw(st.booleans()), draw(st.booleans()))


CASES = st.integers(0, 12).flatmap(lambda n: st.tuples(*(a_case(f"step-{i}") for i in range(n))))


def shipped(own: int = 0) -> list[Case]:
    """What ships drawn beforehand, the first so many steps taken for the visitor's own."""
    found = []
    for lesson in shelf():
        for i, step in enumerate(lesson.steps):
            values = SHIPPED[name_of(lesson, i)]["values"]
            labels = [f"cell {k}" for k in range(len(next(iter(values.values()))))]
            ask = (step.ask.measure,) if step.ask else ()
            in_order = bool(step.ask) and step.ask.kind in ("trend", "curve")
            found.append(Case(name_of(lesson, i), labels, values, ask or tuple(values), in_order, len(found) < own))
    return found


def agrees(question: Question, values: tuple[float | None, ...]) -> None:
    """By another way than the code's."""
    answer = right(question, values)
    assert check(question, answer) == answer
    if question.kind == "larger":
        assert all(values[answer] > values[cell] for cell in question.cells if cell != answer)
    elif question.kind == "order":
        assert all(values[a] < values[b] for a, b in itertools.pairwise(answer))
    elif question.kind == "picture":
        assert [cell for cell in question.cells if values[cell] == question.asked] == [answer]
    else:
        first, last = (values[cell] for cell in question.cells)
        assert (answer == "rises") <= (last > first) and (answer == "falls") <= (last < first)


@given(CASES, st.integers(0, 2**32 - 1))
def test_the_right_answer_agrees_with_the_values_and_near_ties_are_not_asked(cases, seed: int) -> None:  # noqa: ANN001
    by_name = {case.name: case for case in cases}
    for question in build(cases, seed):
        values = by_name[question.name].values[question.measure]
        agrees(question, values)
        there = [values[cell] for cell in question.cells]
        assert None not in there
        if question.kind == "trend":
            change = abs(there[0] - there[1]) / max(there)
            assert change <= 0.05 or change >= 0.2
            continue
        for a, b in itertools.combinations(there, 2):
            assert abs(a - b) > unit(question.measure)
            assert written(question.measure, a) != written(question.measure, b)
            assert question.kind != "picture" or abs(a - b) > max(a, b) / 3  # its number is to be seen


@given(CASES, st.integers(0, 2**32 - 1))
def test_own_runs_come_first_and_no_step_too_often(cases, seed: int) -> None:  # noqa: ANN001
    questions = build(cases, seed)
    assert questions == build(cases, seed) and len(questions) <= COUNT
    names = [question.name for question in questions]
    assert all(names.count(name) <= MOST_EACH for name in names)
    assert len({(question.name, question.measure) for question in questions}) == len(questions)
    alone = build([case for case in cases if case.own], seed)
    assert sum(question.own for question in questions) == len(alone)


@pytest.mark.parametrize("seed", range(20))
def test_the_shipped_runs_fill_a_whole_quiz(seed: int) -> None:
    cases = shipped(own=3)
    by_name = {case.name: case for case in cases}
    questions = build(cases, seed)
    assert len(questions) == COUNT and {q.name for q in questions if q.own} == {c.name for c in cases if c.own}
    assert len({question.kind for question in questions}) >= 3
    for question in questions:
        case = by_name[question.name]
        values = case.values[question.measure]
        agrees(question, values)
        assert text(question, case.labels).endswith("?") or question.kind == "order"
        assert all(
            written(question.measure, values[cell]) in told(question, case.labels, values) for cell in question.cells
        )


def test_other_seeds_ask_other_things() -> None:
    assert len({build(shipped(), seed) for seed in range(10)}) == 10


def test_ties_alone_give_no_question() -> None:
    tie = Case("a-1", ("a", "b", "c"), {"sharpness": (5.0, 5.04, 5.1)}, ("sharpness",), False, True)
    assert build([tie], 1) == ()
    # along an order the same numbers have an answer: it stays
    (question,) = build([Case("a-1", tie.labels, tie.values, tie.measures, True, True)], 1)
    assert right(question, tie.values["sharpness"]) == trend(tie.values["sharpness"]) == "stays"


def test_another_run_gives_another_right_answer() -> None:
    question = Question("larger", "a-1", "sharpness", (0, 2), True)
    assert right(question, (1.0, 9.0, 5.0)) == 2 and right(question, (5.0, 9.0, 1.0)) == 0


@pytest.mark.parametrize("answer", [None, True, -1, 1, 1.0, "x", [0], [0, 2, 2], [0, 1], {"a": 1}, [None, 0]])
@pytest.mark.parametrize("kind", ["larger", "order", "picture", "trend"])
def test_what_is_no_answer_is_refused(kind: str, answer) -> None:  # noqa: ANN001
    with pytest.raises(Refusal):
        check(Question(kind, "a-1", "sharpness", (0, 2), True), answer)
    assert "x" not in TREND_WORDS
