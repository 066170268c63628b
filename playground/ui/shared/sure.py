"""A run that would hold the machine for long is asked about once more, and never forbidden: one way for all tabs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import gradio as gr

from playground.engine import Engine, Keep
from playground.engine.contract import NOTHING
from playground.recipe import Recipe
from playground.render import LONGEST, seconds_known
from playground.ui.shared.fields import slot
from playground.ui.shared.html import error
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.waits import roughly

CROWD = 4  # runs of others under way: from then on it is asked once more before a run of several pictures that takes
TURN = 20.0  # seconds of the machine; a step of a lesson takes at most half of that
TICK = "Tick the box above to run it all the same."
Given = Mapping[gr.components.Component, Any]
Updates = dict[gr.components.Component, Any]


def question(engine: Engine, recipes: Sequence[Recipe], page: str = "", keep: Keep = NOTHING, what: str = "run") -> str:
    """What is asked once more before a run that would hold the machine for long, or for more than one visitor's turn
    while many others wait; empty before any other. `recipes`: those still to be denoised, for this `page`."""
    alone, outlook = seconds_known(engine, recipes, keep), engine.outlook(recipes, page, keep)
    crowded = outlook.others >= CROWD and len(recipes) > 1 and alone > TURN
    if alone <= LONGEST and not crowded:
        return ""
    takes = f"This {what} would take {roughly(alone)} of this machine"
    if not outlook.others:
        return f"{takes}, and whoever else runs something meanwhile shares it. Run it all the same"
    runs = "1 other run is" if outlook.others == 1 else f"{outlook.others} other runs are"
    end = f", and be finished in {roughly(outlook.seconds)}" if outlook.seconds is not None else ""
    return f"{runs} under way. {takes}, shared with them{end}. Run it all the same"


class Sure:
    """The box to be ticked, and under it what to do; made where it is to stand, above the button that runs.

    A tick is for one run: once something else is asked for, it is taken back.
    """

    def __init__(self, prefix: str = "") -> None:
        """`prefix` begins the elem_ids of one tab, as in `Fields`."""
        self.box = gr.Checkbox(False, label="", visible=False, elem_id=f"{prefix}sure")
        self._fault = slot(f"{prefix}error-sure")
        self._of = gr.State(None)  # what is asked about

    @property
    def inputs(self) -> set[gr.components.Component]:
        """Of every event that calls `tells` or `holds`."""
        return {self.box, self._of}

    @property
    def outputs(self) -> list[gr.components.Component]:
        """Of every event whose updates hold those of the methods."""
        return [self.box, self._fault, self._of]

    def tells(self, given: Given, asks: str, asked: Any) -> Updates:
        """After each edit: what is asked, empty for nothing, before what the form asks for by now."""
        same = {} if asked == given[self._of] else {"value": False}
        return {self.box: gr.update(visible=bool(asks), label=asks, **same), self._fault: "", self._of: asked}

    def holds(self, given: Given, asks: str, asked: Any) -> Updates:
        """At the press of the button: updates instead of the run; none where it may go."""
        if not asks or (given[self.box] is True and given[self._of] == asked):
            return {}
        return self.tells(given, asks, asked) | {self._fault: error(TICK)}

    def gone(self) -> Updates:
        """With a run that goes: the box is for the next one."""
        return {self.box: gr.update(visible=False, value=False), self._fault: "", self._of: None}

    def watch(
        self, fields: Iterable[gr.components.Component], asks: Callable[[Given, str], str], read: Callable[[Given], Any]
    ) -> None:
        """Tell at every change of the fields. `asks` gives the question for these values and this page, `read` what
        they ask for, which are values that are equal for equal runs."""

        def told(given: Given, request: gr.Request) -> Updates:
            return self.tells(given, asks(given, request.session_hash or ""), read(given))

        fields = list(fields)
        changed = [field.change for field in fields]
        gr.on(changed, told, {*self.inputs, *fields}, self.outputs, queue=False, trigger_mode="always_last", **QUIET)
