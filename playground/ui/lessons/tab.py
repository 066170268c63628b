"""The Lessons tab: predict, run, look, explain. What a visitor did is kept in the browser only."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr

from playground.engine import Engine, Waiting
from playground.lessons import numbers
from playground.lessons.answers import check_answer
from playground.lessons.earlier import shown_earlier
from playground.lessons.lesson import Lesson
from playground.lessons.runs.contract import Outcome
from playground.refusal import Refusal
from playground.render import missing
from playground.store import Store
from playground.ui.lessons import desk, stage
from playground.ui.lessons.kept import as_attribute
from playground.ui.lessons.rail import CLOSING, rail
from playground.ui.lessons.visit import Visit, read
from playground.ui.shared.endpoint import ENGINE
from playground.ui.shared.fields import slot
from playground.ui.shared.html import error
from playground.ui.shared.latest import Latest, Update
from playground.ui.shared.question import FORM
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.refused import says_refusals
from playground.ui.shared.sure import Sure, question
from playground.ui.shared.waits import waits_for

HERE = Path(__file__).parent
SHOWN = """watch("value", () => element.querySelector("p")?.scrollIntoView({ block: "nearest" }));"""  # on a phone
REDRAW = 0.25  # seconds between two updates of growing pictures, at least
EARLIER, AND_MEASURED = "Drawn earlier by this model", ", and measured then."


def build(engine: Engine, store: Store, lessons: Sequence[Lesson]) -> None:
    """Lays out the tab and wires it, inside a `gr.Tab` of the page."""
    room = Room(engine, store, lessons)
    first = Visit(0, 0)
    desk.build(engine, lessons)
    with gr.Row(elem_classes=["dp-columns", "dpl-columns"]):
        with gr.Column(elem_classes="dp-rail"):
            left = gr.HTML(
                room.left(first),
                js_on_load=FORM + (HERE / "tab.js").read_text("utf-8"),
                elem_classes="dp-flush",
                apply_default_css=False,
                elem_id="lesson-rail",
            )
            fault = slot("lesson-error", SHOWN)
            sure = Sure("lesson-")
            gr.HTML(
                CLOSING,
                js_on_load=(HERE / "closing.js").read_text("utf-8"),
                elem_classes="dp-flush",
                apply_default_css=False,
                elem_id="lesson-closing",
            )
        with gr.Column(elem_classes="dp-stage"):
            right = gr.HTML(
                room.right(first),
                js_on_load=(HERE / "keep.js").read_text("utf-8"),
                elem_classes="dp-flush",
                apply_default_css=False,
                elem_id="lesson-stage",
            )
    latest = Latest()
    nothing: Update = {right: gr.skip()}

    @says_refusals(fault)
    def go(event: gr.EventData, request: gr.Request) -> Update:
        """Another step, or the same one again; a run under way ends."""
        latest.stop(request.session_hash)
        visit = read(lessons, event._data)
        return {left: room.left(visit), right: room.right(visit), fault: error()} | sure.gone()

    @says_refusals(fault)
    def show(event: gr.EventData, request: gr.Request) -> Update:
        latest.stop(request.session_hash)
        return {right: room.earlier(read(lessons, event._data)), fault: error()}

    @says_refusals(fault)
    def run(given: dict[gr.components.Component, Any], event: gr.EventData, request: gr.Request) -> Iterator[Update]:
        page = request.session_hash or ""
        visit = room.answered(read(lessons, event._data))
        if held := sure.holds(given, room.asks(visit, page), (visit.lesson, visit.step)):
            yield {fault: error()} | held
            return
        yield from latest.show(page, grow(visit, page), (visit.lesson, visit.step, str(visit.answer)), nothing)

    def grow(visit: Visit, page: str) -> Iterator[Update]:
        try:
            for html in room.grown(visit, page):
                yield {right: html, fault: error()} | sure.gone()
        except Refusal as refusal:
            yield {right: room.waiting(visit), fault: error(str(refusal))}

    def stop(request: gr.Request) -> Update:
        asked = latest.stop(request.session_hash)
        if asked is None:
            return nothing
        return {right: room.waiting(Visit(*asked[:2])), fault: error("Stopped. What was finished is kept.")}

    outputs = [left, right, fault, *sure.outputs]
    light: dict[str, Any] = {**QUIET, "concurrency_limit": None}
    left.lesson_go(go, None, outputs, **light)
    left.lesson_show(show, None, outputs, **light)
    left.lesson_run(run, sure.inputs, outputs, trigger_mode="multiple", **ENGINE, **QUIET)
    left.lesson_stop(stop, None, outputs, **light)


class Room:
    """The lessons with this engine: each method gives the HTML for a visit."""

    def __init__(self, engine: Engine, store: Store, lessons: Sequence[Lesson]) -> None:
        self._engine, self._store, self._lessons = engine, store, lessons
        self._facts = numbers.facts_of(engine.facts)

    def left(self, visit: Visit) -> str:
        lesson, step = visit.of(self._lessons)
        labels, _ = self._labels(visit)
        earlier = step.run is not None and shown_earlier(lesson, visit.step, self._engine.facts) is not None
        return rail(self._lessons, (visit.lesson, visit.step), self._facts, labels, earlier, visit.done)

    def right(self, visit: Visit) -> str:
        """What was shown last: pictures drawn earlier for whoever has answered before, else empty frames."""
        _, step = visit.of(self._lessons)
        if visit.answer is not None or (step.ask is None and step.run is not None and visit.done):
            try:
                return self.earlier(visit)
            except Refusal:
                pass  # an answer to an older version of the lesson, or nothing drawn earlier: it is asked again
        return self.waiting(visit)

    def waiting(self, visit: Visit) -> str:
        _, step = visit.of(self._lessons)
        if step.run is None:
            return ""
        labels, refusal = self._labels(visit)
        return stage.waiting(labels, step.ask is not None, step.run.tiles) if labels else stage.cannot(refusal)

    def answered(self, visit: Visit) -> Visit:
        """The visit where its step can be run and its answer is one, else Refusal."""
        _, step = visit.of(self._lessons)
        labels, refusal = self._labels(visit)
        if not labels:
            raise Refusal(refusal or "There is nothing to run in this step.")
        if step.ask is not None:
            check_answer(step.ask, visit.answer, len(labels))
        return visit

    def earlier(self, visit: Visit) -> str:
        """Raises Refusal without an answer, and where nothing was drawn earlier."""
        self.answered(visit)
        lesson, step = visit.of(self._lessons)
        outcome = shown_earlier(lesson, visit.step, self._engine.facts)
        if outcome is None:
            raise Refusal("Nothing was drawn earlier for this step; run it yourself.")
        return self._revealed(visit, outcome, EARLIER + (AND_MEASURED if step.ask else "."))

    def asks(self, visit: Visit, page: str) -> str:
        """What is asked once more before a run that would hold the machine for long; empty before others."""
        _, step = visit.of(self._lessons)
        recipes = step.run.denoised(self._engine.facts) if step.run else []
        return question(self._engine, missing(self._engine, self._store, recipes), page)

    def grown(self, visit: Visit, page: str) -> Iterator[str]:
        """The step's frames as they fill, and what the run says in the end. Raises Refusal where it fails."""
        _, step = visit.of(self._lessons)
        labels, _ = self._labels(visit)
        pictures, shares, drawn, waits = {}, {}, 0.0, ""
        yield stage.running(labels, pictures, shares, step.run.tiles)
        with closing(step.run.perform(self._engine, self._store, page)) as events:
            for event in events:
                if isinstance(event, Outcome):
                    lesson, _ = visit.of(self._lessons)
                    kept = as_attribute(lesson, visit.step, event, self._engine.facts)
                    yield f"<div{kept}>{self._revealed(visit, event, _ran(event, step.ask is not None))}</div>"
                    return
                if isinstance(event, Waiting):
                    waits = waits_for(event)
                    yield stage.running(labels, pictures, shares, step.run.tiles, waits)
                    continue
                shares[event.cell] = event.share
                if event.picture is not None:
                    pictures[event.cell] = event.picture
                if time.perf_counter() - drawn >= REDRAW:
                    yield stage.running(labels, pictures, shares, step.run.tiles, waits)
                    drawn = time.perf_counter()

    def _revealed(self, visit: Visit, outcome: Outcome, source: str) -> str:
        lesson, step = visit.of(self._lessons)
        labels, _ = self._labels(visit)
        return stage.revealed(lesson, step, labels, outcome, visit.answer, source, self._facts)

    def _labels(self, visit: Visit) -> tuple[Sequence[str], str]:
        """(labels of the step's cells, "") or ((), why this model cannot run it)"""
        _, step = visit.of(self._lessons)
        if step.run is None:
            return (), ""
        try:
            return step.run.labels(self._engine.facts), ""
        except Refusal as refusal:
            return (), str(refusal)


def _ran(outcome: Outcome, measured: bool) -> str:
    kept = f" {outcome.kept} of the pictures had been drawn before and were kept." if outcome.kept else ""
    took = "less than 0.1 s" if outcome.seconds < 0.1 else f"{outcome.seconds:.1f} s"
    return f"Run here and now in {took}{', and measured in these pictures' if measured else ''}.{kept}"
