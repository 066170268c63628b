"""Only what was measured decides: the same answer is right in one run and wrong in another."""

import pytest

from playground.lessons.answers import as_expected, check_answer, choices, judge, trend
from playground.lessons.lesson import Ask
from playground.refusal import Refusal

LABELS = ("a", "b", "c")


def ask(kind: str, **more) -> Ask:  # noqa: ANN003
    return Ask(kind, "sharpness", "?", "!", **more)


@pytest.mark.parametrize(
    ("question", "answer", "right", "wrong"),
    [
        (ask("pick"), 2, (1.0, 2.0, 9.0), (9.0, 2.0, 1.0)),
        (ask("pick", want="lowest"), 0, (1.0, 2.0, 9.0), (9.0, 2.0, 1.0)),
        (ask("trend"), "rises", (1.0, 2.0, 3.0), (3.0, 2.0, 1.0)),
        (ask("trend"), "stays", (1.0, 5.0, 1.05), (1.0, 5.0, 1.5)),
        (ask("order"), [1, 0, 2], (2.0, 1.0, 3.0), (1.0, 2.0, 3.0)),
        (ask("curve"), [0, 50, 100], (1.0, 2.0, 3.0), (3.0, 2.0, 1.0)),
        (ask("number", options=(3.0, 8.0, 48.0)), 2, (0.0, 0.0, 48.0), (0.0, 0.0, 8.0)),
        (ask("number", options=(0.0, 1.0, 10.0), cell="2"), 0, (5.0, 0.0, 9.0), (0.0, 9.0, 0.0)),
    ],
)
def test_the_run_decides(question: Ask, answer, right, wrong) -> None:  # noqa: ANN001
    assert check_answer(question, answer, 3) == answer
    assert judge(question, answer, LABELS, right).right
    verdict = judge(question, answer, LABELS, wrong)
    assert not verdict.right and any(c.isdigit() for c in verdict.sentence)


def test_what_is_too_close_to_tell_apart_is_not_held_against_anybody() -> None:
    assert judge(ask("pick"), 1, LABELS, (1.0, 9.9, 10.0)).right
    assert judge(ask("order"), [2, 1, 0], LABELS, (5.0, 5.0, 5.0)).right


def test_cells_without_a_value_are_left_out() -> None:
    assert judge(ask("pick", want="lowest"), 1, LABELS, (3.0, 2.0, None)).right
    assert trend((1.0, 2.0, None)) == "rises"


def test_the_cell_that_the_others_are_held_against_is_no_answer() -> None:
    nearest = Ask("pick", "distance_to_last", "?", "!", want="lowest")
    furthest = Ask("pick", "distance", "?", "!")
    for question, reference, answer, values in ((nearest, 2, 1, (9.0, 3.0, 0.0)), (furthest, 0, 1, (0.0, 7.0, 2.0))):
        assert choices(question, 3) == [cell for cell in range(3) if cell != reference]
        with pytest.raises(Refusal):
            check_answer(question, reference, 3)
        assert judge(question, answer, LABELS, values).right
    assert (
        "smallest difference from the last picture is 3.0, that of “b”" in judge(nearest, 1, LABELS, (9, 3, 0)).sentence
    )


def test_only_the_measured_number_itself_is_called_what_was_said() -> None:
    question = ask("number", options=(1.0, 4.0))
    assert judge(question, 0, LABELS, (0.0, 0.0, 1.0)).sentence == "Measured: 1.0, as you said."
    assert (
        judge(question, 0, LABELS, (0.0, 0.0, 2.0)).sentence == "Measured: 2.0; of the answers, yours is the nearest."
    )


def test_an_exception_is_known_as_one() -> None:
    assert as_expected(ask("trend", expect="falls"), (2.0, 1.0)) is True
    assert as_expected(ask("trend", expect="falls"), (1.0, 2.0)) is False
    assert as_expected(ask("pick", expect="1"), (1.0, 2.0, 3.0)) is False
    assert as_expected(ask("pick"), (1.0, 2.0, 3.0)) is None


@pytest.mark.parametrize(
    "answer", [None, True, -1, 3, 1.5, "x", [0, 1], [0, 1, -1], {"a": 1}, [float("nan")] * 3, [1e9, 0, 0]]
)
@pytest.mark.parametrize("kind", ["pick", "order", "curve", "trend", "number"])
def test_what_is_no_answer_is_refused(kind: str, answer) -> None:  # noqa: ANN001
    with pytest.raises(Refusal):
        check_answer(ask(kind, options=(1.0, 2.0)), answer, 3)
