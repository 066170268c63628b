"""Of a page's runs only the latest is shown."""

import threading
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from playground.ui.shared.latest import Latest

NOTHING = {"picture": gr.skip()}


class Source:
    """Updates one by one, and whether anybody still wants them."""

    def __init__(self, name: str, many: int = 100) -> None:
        self.name, self.many, self.given, self.closed = name, many, 0, False

    def updates(self) -> Iterator[dict[str, Any]]:
        try:
            for i in range(self.many):
                self.given += 1
                yield {"picture": f"{self.name}{i}"}
        finally:
            self.closed = True


def begin(latest: Latest, source: Source, page: str = "page") -> Iterator[dict[str, Any]]:
    return latest.show(page, source.updates(), source.name, NOTHING)


def test_a_run_alone_gives_everything() -> None:
    assert list(begin(Latest(), Source("a", 3))) == [{"picture": "a0"}, {"picture": "a1"}, {"picture": "a2"}]


def test_a_later_run_ends_the_earlier_one() -> None:
    latest, a, b = Latest(), Source("a"), Source("b", 2)
    earlier = begin(latest, a)
    assert next(earlier) == {"picture": "a0"}
    later = begin(latest, b)
    got: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: got.extend(later))
    thread.start()
    thread.join(0.2)
    assert not got and thread.is_alive()  # a0 is still on its way to the page
    assert list(earlier) == [NOTHING]
    thread.join(10)
    assert got == [{"picture": "b0"}, {"picture": "b1"}]
    assert (a.given, a.closed) == (1, True)


def test_an_update_that_was_being_computed_is_not_shown_after_the_end() -> None:
    latest, computing, go_on = Latest(), threading.Event(), threading.Event()

    def slow() -> Iterator[dict[str, Any]]:
        yield {"picture": "first"}
        computing.set()
        go_on.wait(10)
        yield {"picture": "late"}

    got: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: got.extend(latest.show("page", slow(), "slow", NOTHING)))
    thread.start()
    computing.wait(10)
    assert latest.stop("page") == "slow"  # at once, though the update is not computed yet
    go_on.set()
    thread.join(10)
    assert got == [{"picture": "first"}, NOTHING]


def test_asking_again_for_what_is_under_way_changes_nothing() -> None:
    latest, a, again = Latest(), Source("a", 3), Source("a")
    earlier = begin(latest, a)
    next(earlier)
    assert list(begin(latest, again)) == [NOTHING]
    assert again.given == 0
    assert list(earlier) == [{"picture": "a1"}, {"picture": "a2"}]
    assert list(begin(latest, Source("a", 1))) == [{"picture": "a0"}]  # it is over now


class Asked:
    """Equal to every other, as runs for the same are; `far` says more than that."""

    def __init__(self, far: int = 0) -> None:
        self.far = far

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Asked)


def test_whoever_stops_a_run_learns_how_far_it_was() -> None:
    latest, asked = Latest(), Asked()
    run = latest.show("page", Source("a").updates(), asked, NOTHING)
    next(run)
    noted = latest.note("page", asked, Asked(1))
    assert latest.note("page", noted, Asked(2)).far == 2
    latest.note("page", noted, Asked(3))  # from somewhere behind
    latest.note("another page", noted, Asked(4))
    run.close()
    again = latest.show("page", Source("a").updates(), Asked(7), NOTHING)
    next(again)
    latest.note("page", noted, Asked(8))  # the ended run, late
    threading.Timer(0.1, again.close).start()
    assert latest.stop("page").far == 7


def test_pages_do_not_end_each_others_runs() -> None:
    latest = Latest()
    mine, yours = begin(latest, Source("a", 2), "mine"), begin(latest, Source("b", 2), "yours")
    assert [next(mine), next(yours), next(mine), next(yours)] == [
        {"picture": "a0"},
        {"picture": "b0"},
        {"picture": "a1"},
        {"picture": "b1"},
    ]
    assert latest.stop("nobody's") is None


def test_a_run_that_fails_or_is_left_is_forgotten() -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield {"picture": "first"}
        raise RuntimeError("broken")

    latest = Latest()
    run = latest.show("page", broken(), "broken", NOTHING)
    next(run)
    with pytest.raises(RuntimeError, match="broken"):
        next(run)
    assert latest.stop("page") is None
    left = Source("left")
    run = begin(latest, left)
    next(run)
    run.close()  # as Gradio does when the browser goes away
    assert left.closed
    assert latest.stop("page") is None
