"""The fields and buttons of /teach: to open a class or come back to one, and to lead it."""

from typing import Any

import gradio as gr

from playground.classroom.keys import LONGEST_PASSWORD
from playground.classroom.plain import DAYS, LONGEST_NAME, USUAL_DAYS, Class, Round
from playground.classroom.pushed import LONGEST_QUESTION, USUAL_QUESTION
from playground.ui.classroom.board import until
from playground.ui.shared.html import escaped
from playground.ui.shared.sure import Sure

KEYS = (
    "<p>Keys: <kbd>Space</kbd> reveals, then shows the next step. <kbd>F</kbd> freezes answers, or takes them again. "
    "<kbd>H</kbd> hides the bars. <kbd>P</kbd> leaves this screen to the class, in large type, and comes back.</p>"
)
KEPT = (
    "<p>Kept on this machine until then: the class, the names that visitors gave, and their answers. Nobody needs an "
    "account, and nothing is sent elsewhere.</p>"
)


class Door:
    """Before a class is taught."""

    def __init__(self) -> None:
        with gr.Column(visible=False) as self.column:  # until it is known that this browser teaches none
            self.name = gr.Textbox(
                label="Name of the class", placeholder="Friday group", max_length=LONGEST_NAME, elem_id="class-name"
            )
            self.password = gr.Textbox(
                label="Password, if you like",
                info="With it you can come back from another browser. Visitors do not need it.",
                type="password",
                max_length=LONGEST_PASSWORD,
                elem_id="class-password",
            )
            self.days = gr.Number(
                USUAL_DAYS,
                label="Days until it is deleted",
                info=f"With all names and answers. {DAYS[0]} to {DAYS[1]}.",
                elem_id="class-days",
            )
            self.open = gr.Button("Open a class", variant="primary", elem_id="class-open")
            with gr.Accordion("Come back to a class", open=False):
                self.code = gr.Textbox(label="Code", elem_id="back-code")
                self.again = gr.Textbox(label="Password", type="password", elem_id="back-password")
                self.back = gr.Button("Come back", elem_id="back-enter")


class Control:
    """While one is taught."""

    def __init__(self, steps: list[tuple[str, str]], grids: list[tuple[str, str]]) -> None:
        with gr.Column(visible=False) as self.column:
            self.step = gr.Dropdown(steps, label="Step of a lesson", value=steps[0][1], elem_id="class-step")
            self.long = Sure("class-long-")
            self.show_step = gr.Button("Show this step", variant="primary", elem_id="class-show-step")
            with gr.Row(elem_classes="dpc-press"):
                self.reveal = gr.Button("Reveal", elem_id="class-reveal")
                self.freeze = gr.Button("Freeze", elem_id="class-freeze")
                self.onward = gr.Button("Next step", elem_id="class-next")
            with gr.Accordion("Show a grid", open=False):
                self.grid = gr.Dropdown(
                    [*grids, ("the link below", "")],
                    label="Grid",
                    value=grids[0][1] if grids else "",
                    elem_id="class-grid",
                )
                self.link = gr.Textbox(
                    label="Link of a grid in Compare",
                    info="The address of the page while the grid is shown.",
                    elem_id="class-link",
                )
                self.vote = gr.Checkbox(
                    True,
                    label="Blind vote",
                    info="The settings are hidden until you reveal them.",
                    elem_id="class-vote",
                )
                self.question = gr.Textbox(
                    label="Question of the vote",
                    placeholder=USUAL_QUESTION,
                    max_length=LONGEST_QUESTION,
                    elem_id="class-question",
                )
                self.show_grid = gr.Button("Show this grid", elem_id="class-show-grid")
            with gr.Accordion("Results and end", open=False):
                self.csv = gr.Button("Results as CSV", elem_id="class-csv")
                self.results = gr.HTML("", elem_classes="dp-flush", apply_default_css=False, elem_id="class-results")
                self.redraw = gr.Button("Draw missing pictures again")
                self.close = gr.Button("Close the class", elem_id="class-close")
                self.leave = gr.Button("Leave it in this browser")
                self.sure = gr.Checkbox(False, label="Yes, delete its names and answers", elem_id="class-sure")
                self.delete = gr.Button("Delete the class", variant="stop", elem_id="class-delete")
            self.about = gr.HTML("", elem_classes=["dp-flush", "dp-about"], apply_default_css=False)

    @property
    def outputs(self) -> list[gr.blocks.Block]:
        """Everything that an event may change."""
        return [
            self.column,
            self.step,
            self.reveal,
            self.freeze,
            self.onward,
            self.about,
            self.results,
            self.sure,
            *self.long.outputs,
        ]

    def stands_at(self, round_: Round | None) -> dict[gr.blocks.Block, Any]:
        """The list of steps shows the step that the class is at."""
        lesson = round_ is not None and "lesson" in round_.what
        return {self.step: f"{round_.what['lesson']}/{round_.what['step']}"} if lesson else {}

    def says(self, class_: Class | None, round_: Round | None) -> dict[gr.blocks.Block, Any]:
        """Buttons and text for a class at this round."""
        if class_ is None:
            return {self.about: ""}
        asked = round_ is not None and not round_.revealed
        label = "Unfreeze" if asked and round_.frozen else "Freeze"
        return {
            self.reveal: gr.update(interactive=asked, variant="primary" if asked else "secondary"),
            self.freeze: gr.update(value=label, interactive=asked),
            self.onward: gr.update(interactive=round_ is not None and "lesson" in round_.what),
            self.about: f"{KEYS}<p>Deleted on {escaped(until(class_.ends))}.</p>{KEPT}",
        }
