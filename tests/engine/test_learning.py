"""The batch of a CPU's calls is learned while they are made, and never settled by one slow moment."""

from collections.abc import Callable

import pytest

from playground.engine.learning import EVERY, FIRST, MOST, SHORT, Learning

Machine = Callable[[int], float]  # rows -> seconds of a call


def after(learning: Learning, calls: int, machine: Machine) -> int:
    """Rows that it settles on when there is always enough to do: what most of the last calls had."""
    tried = [learning.trying]
    for _ in range(calls):
        tried.append(learning.after(learning.trying, machine(learning.trying)))
    return max(set(tried[-2 * EVERY :]), key=tried[-2 * EVERY :].count)


def quiet(rows: int) -> float:
    """Pocket by OpenVINO on two quiet cores."""
    return 0.005 + 0.005 * rows


def busy(rows: int) -> float:
    """The same with eight other processes on them: a call waits long, however few rows it has."""
    return 0.25 + 0.03 * rows


def large(rows: int) -> float:
    """A network of Stable Diffusion's size, whose rows gain nothing from each other."""
    return 10.0 * rows


def test_calls_grow_at_once_while_they_are_short() -> None:
    learning = Learning(FIRST)
    assert [learning.after(learning.trying, quiet(learning.trying)) for _ in range(3)] == [4, 8, 16]
    assert after(learning, 200, quiet) == 16 and quiet(16) <= SHORT


@pytest.mark.parametrize(("machine", "rows"), [(quiet, 16), (busy, 32), (large, 1)])
def test_it_finds_the_same_batch_wherever_it_begins(machine: Machine, rows: int) -> None:
    assert [after(Learning(begin), 600, machine) for begin in (1, 2, 8, 16, MOST)] == [rows] * 5


def test_one_slow_moment_never_leaves_it_at_one_row() -> None:
    """At any time, for any length: afterwards it is where it was before."""
    for begin in range(0, 60, 7):
        for length in (1, 3, 20, 100):
            learning, calls = Learning(FIRST), 0

            def moment(rows: int, begin: int = begin, length: int = length) -> float:
                nonlocal calls
                calls += 1
                return quiet(rows) * (40 if begin <= calls < begin + length else 1)

            assert after(learning, begin + length + 200, moment) == 16, (begin, length)


def test_a_machine_that_gets_busy_keeps_its_batches_and_a_quiet_one_its_short_calls() -> None:
    learning = Learning(FIRST)
    assert [after(learning, 400, machine) for machine in (quiet, busy, quiet)] == [16, 32, 16]


def test_a_call_with_fewer_rows_than_were_tried_says_nothing() -> None:
    learning = Learning(16)
    assert {learning.after(3, 9.0) for _ in range(100)} == {16}


def test_it_never_asks_for_more_than_memory_has_room_for() -> None:
    learning = Learning(4, most=4)
    assert max(learning.after(learning.trying, 0.001 * learning.trying) for _ in range(100)) == 4
