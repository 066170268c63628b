"""A class at work with the real model: pictures once for everybody, answers against what was measured, results."""

import csv
import dataclasses
import io
import threading
import time
from collections.abc import Iterator

import pytest

from playground.classroom.pushed import MOST_CELLS, following, grid_of, read, step_of
from playground.classroom.results import HEAD, plain
from playground.classroom.room import Room, Sight
from playground.classroom.tally import bars, came_true
from playground.engine import Done, LocalEngine
from playground.lessons.answers import judge
from playground.lessons.shelf import shelf
from playground.link import to_token
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.render import render
from playground.store import Store
from playground.sweep import Sweep

LESSONS = shelf()
PATIENCE = 120  # seconds, generous
SEEDS = Sweep(Recipe(prompt="cat, yellow background", num_inference_steps=4), {"seed": [1, 2, 3]})


@pytest.fixture
def room(engine: LocalEngine, store: Store) -> Iterator[Room]:
    room = Room(engine, store, LESSONS)
    yield room
    room.register.close()


def drawn(room: Room, class_) -> Sight:  # noqa: ANN001
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        sight = room.sight(class_)
        if sight.drawing.finished or sight.drawing.reason:
            return sight
        time.sleep(0.02)
    raise AssertionError("never drawn")


def link(sweep: Sweep, engine: LocalEngine) -> str:
    return f"http://127.0.0.1:7860/?grid={to_token(sweep, engine.facts.usual)}&__theme=dark"


def test_a_lessons_question_is_decided_by_what_this_run_measured(room: Room) -> None:
    code, token = room.register.open("Friday")
    class_ = room.register.taught(code, token)
    room.show(class_, step_of("06-seeds", 0))
    sight = drawn(room, class_)
    options = sight.pushed.options()
    assert sight.pushed.kind == "ask" and len(options) == len(sight.pushed.ask.options)
    for answer, _ in options:
        member = room.register.member(class_, room.register.join(code, f"=V{answer}"))
        room.answer(class_, member, 1, answer)
    answers = [answer for _, answer in room.register.answers(sight.now.round)]
    before = bars(sight.pushed, answers, {})
    assert [bar.written for bar in before] == ["1"] * len(options) and not any(bar.right for bar in before)
    values = sight.drawing.values
    right = [judge(sight.pushed.ask, a, sight.pushed.labels, values[sight.pushed.ask.measure]).right for a in answers]
    assert [bar.right for bar in bars(sight.pushed, answers, values)] == right and sum(right) == 1
    assert came_true(sight.pushed, answers, values) == (1, len(options))
    rows = list(csv.reader(io.StringIO(room.csv(class_))))
    assert tuple(rows[0]) == HEAD and [row[4] for row in rows[1:]] == [f"'=V{answer}" for answer in answers]
    assert [row[6] for row in rows[1:]] == ["yes" if found else "no" for found in right]
    assert room.register.now(class_).round.measured["values"][sight.pushed.ask.measure] == pytest.approx(
        list(values[sight.pushed.ask.measure])
    )


def test_every_step_of_every_lesson_can_be_shown_and_answered(room: Room) -> None:
    code, token = room.register.open("Friday")
    class_ = room.register.taught(code, token)
    member = room.register.member(class_, room.register.join(code))
    what, count = step_of(LESSONS[0].key, 0), 0
    while what is not None:
        pushed, count = read(what, LESSONS, room.engine), count + 1
        if pushed.ask:
            with pytest.raises(Refusal):
                pushed.check({"odd": 1})
            cells = len(pushed.labels)
            answer = pushed.options()[0][0] if pushed.options() else list(range(cells))
            room.register.push(class_, what)  # without its pictures, which other tests draw
            room.answer(class_, member, room.register.now(class_).round.number, answer)
            assert bars(pushed, [answer], {})
            assert pushed.words(answer)
        what = following(pushed, LESSONS)
    assert count == sum(len(lesson.steps) for lesson in LESSONS)


def test_a_vote_hides_the_settings_in_one_order_for_everybody(room: Room, engine: LocalEngine) -> None:
    code, token = room.register.open("Friday")
    class_ = room.register.taught(code, token)
    room.show(class_, grid_of(link(SEEDS, engine), "", True, engine))
    sight = drawn(room, class_)
    assert sight.pushed.kind == "vote" and sight.pushed.labels == ("Seed 1", "Seed 2", "Seed 3")
    assert all(sight.drawing.pictures) and not sight.now.round.revealed
    assert sorted(sight.order) == [0, 1, 2] and room.sight(class_).order == sight.order
    member = room.register.member(class_, room.register.join(code))
    for odd in (3, -1, True, "1", None, [1], 1.0):
        with pytest.raises(Refusal, match="Choose one"):
            room.answer(class_, member, 1, odd)
    room.answer(class_, member, 1, 2)
    assert room.register.answer_of(sight.now.round, member) == 2
    room.show(class_, grid_of(link(SEEDS, engine), "", False, engine))
    assert room.sight(class_).now.round.revealed
    with pytest.raises(Refusal, match="Nothing is asked|another question"):
        room.answer(class_, member, 2, 0)


def test_thirty_who_ask_for_the_same_are_computed_for_once(engine: LocalEngine, store: Store) -> None:
    cells = SEEDS.recipes()
    start, found = threading.Barrier(30), []

    def visit() -> None:
        start.wait()
        events = [event for event in render(engine, store, cells, previews=False) if isinstance(event, Done)]
        found.append(events)

    threads = [threading.Thread(target=visit) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 30 and all(len(events) == len(cells) for events in found)
    computed = sum(e.result.evaluations - e.result.shared for events in found for e in events if not e.stored)
    assert computed == sum(engine.facts.evaluations(recipe) for recipe in cells)


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("", "Paste the address"),
        (None, "Paste the address"),
        (7, "Paste the address"),
        ("http://x/?grid=", "Paste the address"),
        ("http://x/?grid=1.zzz", "damaged"),
        ("javascript:alert(1)", "another version"),
        ("2.abc", "another version"),
    ],
)
def test_what_is_no_grid_is_said_so(link: object, says: str, engine: LocalEngine) -> None:
    with pytest.raises(Refusal, match=says):
        grid_of(link, "", True, engine)


def test_grids_that_a_class_cannot_be_shown(engine: LocalEngine) -> None:
    many = Sweep(SEEDS.base, {"seed": list(range(MOST_CELLS + 1))})
    with pytest.raises(Refusal, match="2 to 16"):
        grid_of(link(many, engine), "", True, engine)
    with pytest.raises(Refusal, match="at most 200"):
        grid_of(link(SEEDS, engine), "x" * 201, True, engine)
    with pytest.raises(Refusal, match="not on this machine"):
        read(step_of("99-none", 0), LESSONS, engine)
    with pytest.raises(Refusal, match="not on this machine"):
        read({"lesson": LESSONS[0].key, "step": True}, LESSONS, engine)


def test_a_class_is_shown_a_step_by_one_model_and_other_pages_say_which(
    room: Room, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _ = room.register.open("Two pages")
    class_ = room.register.find(code)
    room.show(class_, step_of("01-noise", 0))
    assert room.register.now(class_).round.what["model"] == engine.facts.name
    elsewhere = {**step_of("01-noise", 1), "model": "other"}
    room.register.push(class_, elsewhere)
    assert room.sight(class_).problem == "This was shown with other, which does not run here now. Its answers are kept."
    monkeypatch.setattr(engine, "facts", dataclasses.replace(engine.facts, others={"other": "/m/other/"}))
    sight = room.sight(class_)
    assert sight.problem == "This is shown with other, whose page is /m/other/; join the class there."
    assert sight.pushed is None and sight.drawing is None
    room.show(class_, step_of("01-noise", 0))  # from this page again
    assert drawn(room, class_).drawing.finished


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1"])
def test_no_cell_of_the_results_is_a_formula(text: str) -> None:
    assert plain(text) == f"'{text}" and plain(f"a{text}") == f"a{text}"
