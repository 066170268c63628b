"""Predict, then look: before the run what the visitor expects of it, after it what was measured."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from playground.engine import Engine, Result
from playground.export.finished import FinishedGrid, finished
from playground.labels import Axis
from playground.lessons.answers import check_answer
from playground.lessons.expecting import (
    NAMES,
    QUESTIONS,
    along_the_axis,
    askable,
    main_axis,
    seed_noise,
    verdict,
)
from playground.models import Facts
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.sweep import Sweep
from playground.ui.shared.feedback import against, chart
from playground.ui.shared.html import escaped
from playground.ui.shared.question import FORM, question_form
from playground.ui.shared.quiet import QUIET

SCRIPT: str = FORM + (Path(__file__).parent / "predict.js").read_text("utf-8")
NOTHING = ""  # of the questions: none is asked
SAYS = "Say what you expect of the grid, press Run, and compare it with what is measured in the pictures."
NOT_YET = "Nothing was predicted for this grid, so there is nothing to compare."
SEEN = "All of its pictures were there before this run, so they may have been seen already."
Updates = dict[gr.components.Component, Any]
Given = Mapping[gr.components.Component, Any]


class Predict:
    """The section in the form; `place` makes what stands beside the grid."""

    def __init__(self) -> None:
        with gr.Accordion("Predict, then look", open=False, elem_id="predict"):
            gr.HTML(f'<p class="dp-quiet">{SAYS}</p>', elem_classes="dp-flush")
            self.what = gr.Dropdown(
                [("nothing, only run", NOTHING)], value=NOTHING, label="What do you expect?", elem_id="predict-what"
            )
            self.question = gr.HTML(
                "", js_on_load=SCRIPT, elem_classes="dp-flush", apply_default_css=False, elem_id="predict-question"
            )
        self.told = [self.what, self.question]  # what `tells` updates
        self._answer = gr.State(None)  # to the question that stands there, and which that is
        self._due = gr.State(None)  # what was predicted of the run that is under way

    def place(self) -> None:
        self.verdict = gr.HTML("", elem_classes="dp-flush", apply_default_css=False, elem_id="predicted")

    @property
    def begun(self) -> list[gr.components.Component]:
        """What `begins` and `clear` update."""
        return [self.verdict, self._due]

    @property
    def given(self) -> list[gr.components.Component]:
        """What `begins` reads."""
        return [self.what, self._answer]

    def tells(self, given: Given, sweep: Sweep | None, facts: Facts) -> Updates:
        """After each check of the form: the questions that suit it, and the one that is chosen."""
        if sweep is None:
            return {self.what: gr.skip(), self.question: gr.skip()}
        keys, chosen = askable(sweep, facts), given[self.what]
        choices = [("nothing, only run", NOTHING), *((NAMES[key], key) for key in keys)]
        if chosen not in keys:
            # a choice made while this check was under way must stand
            lost = {} if chosen == NOTHING else {"value": NOTHING}
            return {self.what: gr.update(choices=choices, **lost), self.question: ""}
        axis = main_axis(FinishedGrid(sweep, ()).axes)
        return {self.what: gr.update(choices=choices), self.question: asked(chosen, axis)}

    def begins(self, given: Given, sweep: Sweep) -> Updates:
        """A run begins: what was predicted of it is fixed."""
        key, said = given[self.what], given[self._answer] or {}
        if key not in askable(sweep, self._engine.facts):
            return self.clear()
        ours = said.get("asked") == mark(key, main_axis(FinishedGrid(sweep, ()).axes))
        due = {
            "key": key,
            "answer": said.get("answer") if ours else None,
            "seen": all(self._find(recipe) for recipe in sweep.recipes()),
            "sweep": sweep.flat.digest(),
        }
        return {self.verdict: "", self._due: due}

    def clear(self) -> Updates:
        """Another grid stands there, of which nothing was predicted."""
        return {self.verdict: "", self._due: None}

    def wire(self, engine: Engine, find: Callable[[Recipe], Result | None]) -> None:
        """`find` gives a recipe's finished picture. The answer is told at every change of it."""

        def answered(event: gr.EventData) -> Any:
            return event._data if isinstance(event._data, dict) else None

        self.question.predict_answer(answered, None, self._answer, queue=False, **QUIET)
        self._engine, self._find = engine, find

    def after(self, shown_sweep: gr.State) -> dict[str, Any]:
        """The event after a run, which puts the verdict there; `shown_sweep` as in `takeaway.build`."""
        asked = [shown_sweep, self._due]
        return {"fn": self._compared, "inputs": asked, "outputs": self.begun, "concurrency_limit": None, **QUIET}

    def _compared(self, shown: dict[str, Any] | None, due: dict[str, Any] | None) -> Updates:
        """After the run: the verdict on what was predicted of it."""
        sweep = None if shown is None else Sweep.from_dict(shown)
        if due is None or sweep is None or sweep.digest() != due["sweep"]:
            return {self.verdict: gr.skip(), self._due: None}
        try:
            html = judged(due, finished(sweep, self._find, lambda model: self._engine.of(model).facts))
        except Refusal as refusal:
            html = f'<p class="dp-quiet">{escaped(str(refusal))}</p>'
        return {self.verdict: html, self._due: None}


def asked(key: str, axis: Axis) -> str:
    """HTML of the question; the same for the same cells, so that an answer in it stays."""
    ask = QUESTIONS[key]
    form = f'<form class="dp-ask">{question_form(ask, axis.labels)}</form>'
    return f'<div class="dp-asking" data-kind="{ask.kind}" data-asked="{escaped(mark(key, axis))}">{form}</div>'


def mark(key: str, axis: Axis) -> str:
    """Names a question and its cells."""
    return json.dumps([key, axis.key, axis.labels])


def judged(due: Mapping[str, Any], grid: FinishedGrid) -> str:
    """HTML of the verdict. Raises Refusal where nothing was said, or nothing can be compared."""
    ask, labels = QUESTIONS[due["key"]], main_axis(grid.axes).labels
    try:
        answer = check_answer(ask, due["answer"], len(labels))
    except Refusal:
        raise Refusal(NOT_YET) from None
    found = along_the_axis(grid, ask.measure)
    notes = [seed_noise(due["key"], found)] + ([SEEN] if due["seen"] else [])
    more = "".join(f"<p>{escaped(note)}</p>" for note in notes)
    drawn = chart(answer, labels, found.values) if ask.kind == "curve" else ""
    return against(verdict(due["key"], answer, found), ask, more + drawn)
