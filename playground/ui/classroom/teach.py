"""The page /teach: open a class, show steps and grids to everybody, freeze, reveal, go on, take the results away."""

from pathlib import Path
from typing import Any

import gradio as gr

from playground.classroom.room import Room
from playground.lessons import numbers
from playground.ui.classroom.desk import Desk, Offer
from playground.ui.classroom.forms import Control, Door
from playground.ui.shared.fields import slot
from playground.ui.shared.html import error
from playground.ui.shared.latest import Update
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.refused import says_refusals

SCRIPT = (Path(__file__).parent / "teach.js").read_text("utf-8")
EVERY = 1.5  # seconds between two looks
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
STORAGE = {"storage_key": "dp-teach", "secret": "not secret: it only has to be the same after a restart"}
HEAD = '<header class="dp-head"><h1>Teach a class</h1><p><a href="./">To the playground</a></p></header>'


def build(page: gr.Blocks, room: Room, grids: list[Offer]) -> None:
    """Lays out the page and wires it, inside `page.route`. `grids`: those to choose from."""
    desk = Desk(page, room, numbers.facts_of(room.engine.facts))
    kept = gr.BrowserState({}, **STORAGE)
    seen = gr.State("")
    gr.HTML(HEAD)
    with gr.Row(elem_classes=["dp-columns", "dpc-columns"]):
        with gr.Column(elem_classes="dp-rail"):
            fault = slot("teach-error")
            door = Door()
            control = Control(desk.steps(), grids)
        with gr.Column(elem_classes="dp-stage"):
            view = gr.HTML("", js_on_load=SCRIPT, elem_classes="dp-flush", apply_default_css=False, elem_id="board")

    def shown(has: Any, request: gr.Request, before: Any = None) -> Update:
        told = desk.looks(has, request, before)
        if before is not None and told.seen == before:
            return {seen: gr.skip()}
        inside = told.class_ is not None
        return {
            view: told.view,
            seen: told.seen,
            fault: error(told.problem),
            door.column: gr.update(visible=not inside),
            control.column: gr.update(visible=inside),
            **control.says(told.class_, told.round),
        }

    @says_refusals(fault)
    def does(act: Any, has: Any, request: gr.Request, *given: Any) -> Update:
        """An act of the desk, then everything as it stands after it; or the sentence that it was refused with."""
        act(has, *given)
        return shown(has, request)

    @says_refusals(fault)
    def opened(name: Any, password: Any, days: Any, request: gr.Request) -> Update:
        has = desk.open(name, password, days)
        return shown(has, request) | {kept: has, door.password: ""}

    @says_refusals(fault)
    def came_back(code: Any, password: Any, request: gr.Request) -> Update:
        has = desk.come_back(code, password)
        return shown(has, request) | {kept: has, door.again: ""}

    @says_refusals(fault)
    def shows(find: Any, given: dict[Any, Any], request: gr.Request, *fields: Any) -> Update:
        """What is found by the desk is shown, unless the teacher is to be asked first."""
        has = given[kept]
        what = find(has, *fields)
        if held := control.long.holds(given, desk.asks(what), what):
            return {fault: error()} | held
        return does(desk.show, has, request, what) | control.long.gone()

    def step(given: dict[Any, Any], request: gr.Request) -> Update:
        return shows(desk.step, given, request, given[control.step])

    def grid(given: dict[Any, Any], request: gr.Request) -> Update:
        which = given[control.link] or given[control.grid]  # a link counts at once, also before the list says so
        return shows(desk.grid, given, request, which, given[control.question], given[control.vote])

    def linked(link: Any) -> Any:
        """The list says where the grid comes from; what is chosen in it takes the link away."""
        return "" if link else gr.skip()

    def reveal(has: Any, request: gr.Request) -> Update:
        return does(desk.reveal, has, request)

    def freeze(has: Any, request: gr.Request) -> Update:
        return does(desk.freeze, has, request)

    def onward(given: dict[Any, Any], request: gr.Request) -> Update:
        return shows(desk.following, given, request) | control.stands_at(desk.round_of(given[kept]))

    def again(has: Any, request: gr.Request) -> Update:
        return does(desk.again, has, request)

    def closed(has: Any, request: gr.Request) -> Update:
        return does(desk.close, has, request)

    @says_refusals(fault)
    def deleted(has: Any, sure: Any, request: gr.Request) -> Update:
        desk.delete(has, sure)
        return shown({}, request) | {kept: {}, control.sure: False, control.results: ""}

    def left(request: gr.Request) -> Update:
        return shown({}, request) | {kept: {}, control.results: ""}

    @says_refusals(fault)
    def results(has: Any) -> Update:
        return {control.results: desk.results(has), fault: error()}

    def look(has: Any, before: Any, request: gr.Request) -> Update:
        return shown(has, request, before)

    def arrive(has: Any, request: gr.Request) -> Update:
        room.arrived()
        return shown(has, request)

    outputs = [kept, seen, view, fault, door.column, door.password, door.again, *control.outputs]
    page.load(arrive, kept, outputs, **AT_ONCE)
    gr.Timer(EVERY).tick(look, [kept, seen], outputs, **AT_ONCE)
    gr.on([door.open.click, door.name.submit], opened, [door.name, door.password, door.days], outputs, **AT_ONCE)
    gr.on([door.back.click, door.again.submit], came_back, [door.code, door.again], outputs, **AT_ONCE)
    asked = {kept, *control.long.inputs}
    control.show_step.click(step, {*asked, control.step}, outputs, **AT_ONCE)
    chosen = {control.grid, control.link, control.question, control.vote}
    control.show_grid.click(grid, asked | chosen, outputs, **AT_ONCE)
    control.link.change(linked, control.link, control.grid, **AT_ONCE)  # of a paste, Gradio tells no `input`
    control.grid.input(lambda: "", None, control.link, **AT_ONCE)
    control.onward.click(onward, asked, outputs, **AT_ONCE)
    acts = ((control.reveal, reveal), (control.freeze, freeze), (control.redraw, again))
    for button, act in (*acts, (control.close, closed)):
        button.click(act, kept, outputs, **AT_ONCE)
    control.delete.click(deleted, [kept, control.sure], outputs, **AT_ONCE)
    control.leave.click(left, None, outputs, **AT_ONCE)
    control.csv.click(results, kept, outputs, **AT_ONCE)
