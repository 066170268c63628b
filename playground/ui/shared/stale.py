"""What is shown is what is said: a result whose form was edited since is greyed, and says so.

One rule for all tabs: it goes by what was asked, so typing a value and taking it back leaves the result as it was.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gradio as gr

from playground.ui.shared.quiet import QUIET

MARK = '<p class="dp-stale">Of an earlier form: what stands there now has not been run.</p>'
Given = Mapping[gr.components.Component, Any]


class Stale:
    """The mark above one result, inside the same `gr.Column(elem_classes="dp-result")`; make it there."""

    def __init__(self, asked: Any = None, mark: str = MARK) -> None:
        """`asked`: what the result was asked for that the page opens with, where there is one."""
        self._asked, self._text = gr.State(asked), mark
        self._mark = gr.HTML(elem_classes="dp-flush", apply_default_css=False)

    @property
    def outputs(self) -> list[gr.components.Component]:
        """Of every event whose updates hold those of `asked`."""
        return [self._asked, self._mark]

    def asked(self, what: Any) -> dict[gr.components.Component, Any]:
        """Updates with a new result: it is of what was asked, which the form may no longer say by the next edit."""
        return {self._asked: what, self._mark: ""}

    def watch(self, fields: Iterable[gr.components.Component], read: Callable[[Given], Any]) -> None:
        """Compare at every change of the fields. `read` gives what a run would be asked for, and anything else, such
        as None, where a field is wrong."""

        def compared(given: Given) -> dict[gr.components.Component, Any]:
            asked = given[self._asked]
            return {self._mark: self._text if asked is not None and read(given) != asked else ""}

        fields = list(fields)
        changed = [field.change for field in fields]
        quiet: dict[str, Any] = {**QUIET, "queue": False}
        gr.on(changed, compared, {self._asked, *fields}, [self._mark], trigger_mode="always_last", **quiet)
