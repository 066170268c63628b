"""Where the closing quiz and the sheet for paper stand: one place above the lessons, empty while neither is open."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from playground.engine import Engine
from playground.lessons.lesson import Lesson
from playground.ui.lessons.quiz import shown
from playground.ui.lessons.sheet import sheet
from playground.ui.shared.quiet import QUIET

HERE = Path(__file__).parent


def build(engine: Engine, lessons: Sequence[Lesson]) -> None:
    """Lays out the place and wires it. The lessons' rail opens it with events of the document: see quiz.js."""
    desk = gr.HTML(
        "",
        js_on_load=(HERE / "quiz.js").read_text("utf-8"),
        elem_classes="dp-flush",
        apply_default_css=False,
        elem_id="lesson-desk",
    )

    def ask(event: gr.EventData) -> str:
        return shown(lessons, engine.facts, event._data)

    def write(event: gr.EventData) -> str:
        return sheet(lessons, engine.facts, event._data)

    light: dict[str, Any] = {**QUIET, "concurrency_limit": None}
    desk.quiz_show(ask, None, desk, **light)
    desk.quiz_sheet(write, None, desk, **light)
    desk.quiz_close(lambda: "", None, desk, **light)
