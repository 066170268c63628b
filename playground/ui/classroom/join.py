"""The page /join: a visitor gives a code, sees what the teacher shows, and answers. The browser keeps one token."""

from pathlib import Path
from typing import Any

import gradio as gr

from playground.classroom.keys import read_code
from playground.classroom.plain import LONGEST_NAME, Class, Member
from playground.classroom.room import Room, Sight
from playground.lessons import numbers
from playground.refusal import Refusal
from playground.ui.classroom import views
from playground.ui.shared.fields import slot
from playground.ui.shared.html import error, escaped
from playground.ui.shared.latest import Update
from playground.ui.shared.question import FORM
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.refused import says_refusals

SCRIPT = FORM + (Path(__file__).parent / "join.js").read_text("utf-8")
EVERY = 1.5  # seconds between two looks
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
STORAGE = {"storage_key": "dp-class", "secret": "not secret: it only has to be the same after a restart"}
DOOR = "door"  # the stamp of a page on which nobody has joined
HEAD = '<header class="dp-head"><h1>{}</h1><p>{}</p></header>'
AT_THE_DOOR = HEAD.format("Join a class", "")


def build(page: gr.Blocks, room: Room) -> None:
    """Lays out the page and wires it, inside `page.route`."""
    visitor = Visitor(room)
    kept = gr.BrowserState({}, **STORAGE)
    mine = gr.State(None)  # what the page was last told to be: a look that left before may still say the old `kept`
    seen = gr.State("")
    head = gr.HTML(AT_THE_DOOR)
    with gr.Column(elem_classes="dpc-narrow"):
        with gr.Column(visible=False) as door:  # until it is known whether this browser has joined already
            code = gr.Textbox(label="Code", info="Four letters and digits, from your teacher.", elem_id="join-code")
            name = gr.Textbox(
                label="Name, if you like",
                info="Only your teacher sees it, in the results. It is deleted with the class.",
                max_length=LONGEST_NAME,
                elem_id="join-name",
            )
            enter = gr.Button("Join", variant="primary", elem_id="join-enter")
        fault = slot("join-error")
        view = gr.HTML("", js_on_load=SCRIPT, elem_classes="dp-flush", apply_default_css=False, elem_id="class-view")
        unfit = slot("class-error")
        leave = gr.Button("Leave this class", size="sm", visible=False, elem_classes="dpc-leave", elem_id="join-leave")

    def shown(told: dict[str, str]) -> Update:
        inside = told["head"] != AT_THE_DOOR
        return {
            head: told["head"],
            view: told["view"],
            seen: told["seen"],
            door: gr.update(visible=not inside),
            leave: gr.update(visible=inside),
            fault: error(told["problem"]),
            unfit: error(),
        }

    def arrive(has: Any, request: gr.Request) -> Update:
        """The page is opened: back in the class of this browser, unless the address names another one."""
        room.arrived()
        asked = str(request.query_params.get("code", ""))[:20].upper()
        told = visitor.resumed(has, asked)
        return shown(told) | {code: asked, mine: {} if told["seen"] == DOOR else has}

    @says_refusals(fault)
    def join(has: Any, typed: Any, called: Any) -> Update:
        now = visitor.joined(has, typed, called)
        return shown(visitor.looks(now)) | {kept: now, mine: now}

    def look(has: Any, known: Any, before: Any) -> Update:
        """Again and again: nothing is sent where nothing has changed, so a form is not drawn again while it is used.
        What the browser keeps counts only where nothing is known of the page, as after a restart."""
        told = visitor.looks(has if known is None else known, before)
        return {seen: gr.skip()} if told["seen"] == before else shown(told)

    @says_refusals(unfit)
    def answer(has: Any, event: gr.EventData) -> Update:
        visitor.answers(has, event._data)
        return shown(visitor.looks(has))

    def left() -> Update:
        return shown(visitor.outside()) | {kept: {}, mine: {}}

    outputs = [kept, mine, seen, head, door, code, fault, view, unfit, leave]
    page.load(arrive, kept, outputs, **AT_ONCE)
    gr.on([enter.click, code.submit, name.submit], join, [kept, code, name], outputs, **AT_ONCE)
    view.class_answer(answer, kept, outputs, **AT_ONCE)
    leave.click(left, None, outputs, **AT_ONCE)
    gr.Timer(EVERY).tick(look, [kept, mine, seen], outputs, **AT_ONCE)


class Visitor:
    """What the page says to a browser that has `{code, token}`."""

    def __init__(self, room: Room) -> None:
        self._room, self._facts = room, numbers.facts_of(room.engine.facts)

    def outside(self, problem: str = "", stays: bool = True) -> dict[str, str]:
        """At the door. `stays`: until somebody joins; else it is tried again with the next look."""
        return {"head": AT_THE_DOOR, "view": "", "seen": DOOR if stays else f"? {problem}", "problem": problem}

    def resumed(self, has: Any, asked: str) -> dict[str, str]:
        """On arrival, with the code that stands in the address or none."""
        try:
            if asked and read_code(asked) != _of(has, "code"):
                self._room.register.find(asked)
                return self.outside()
        except Refusal as refusal:
            return self.outside(str(refusal))
        return self.looks(has)

    def joined(self, has: Any, code: Any, name: Any) -> dict[str, str]:
        """-> what the browser is to keep. One that has joined already is the same visitor still."""
        class_ = self._room.register.find(code)
        if _of(has, "code") == class_.code:
            try:
                self._room.register.member(class_, _of(has, "token"))
                return {"code": class_.code, "token": _of(has, "token")}
            except Refusal:
                pass  # a token of an older class with the same code
        return {"code": class_.code, "token": self._room.register.join(code, name)}

    def looks(self, has: Any, before: Any = None) -> dict[str, str]:
        """What is shown now. Where its stamp is `before` nothing has changed, and nothing else is told."""
        if not _of(has, "code"):
            return self.outside()
        try:
            class_, member = self._who(has)
            self._room.looked(class_, member)
            sight = self._room.sight(class_)
            given = self._room.answer_of(sight, member)
            seen = f"{sight.stamp()} {given}"
            if seen == before:
                return {"seen": seen}
            view = f'<div class="dp-asking dpc" data-kind="{_kind(sight)}">{self._view(sight, given)}</div>'
        except Refusal as refusal:
            return self.outside(str(refusal), stays=False)
        head = HEAD.format(escaped(class_.name), escaped(member.name or f"visitor {member.number}"))
        return {"head": head, "view": view, "seen": seen, "problem": ""}

    def answers(self, has: Any, data: Any) -> None:
        """{round, answer} as the page says it. Raises Refusal where it is not taken."""
        data = data if isinstance(data, dict) else {}
        class_, member = self._who(has)
        self._room.answer(class_, member, data.get("round"), data.get("answer"))

    def _who(self, has: Any) -> tuple[Class, Member]:
        class_ = self._room.register.find(_of(has, "code"))
        return class_, self._room.register.member(class_, _of(has, "token"))

    def _view(self, sight: Sight, given: Any) -> str:
        closed = views.status("This class is closed.") if sight.now.class_.closed else ""
        if sight.problem:
            return views.status(sight.problem) + closed
        if sight.pushed is None:
            return closed or views.status("You are in. What your teacher shows appears here by itself.")
        text = views.text_before(sight, self._facts)
        if not sight.revealed:
            return f"{closed}{views.title(sight)}{text}{views.form(sight, given)}"
        answers = self._room.answers(sight)
        return (
            f"{closed}{views.head(sight)}{views.pictures(sight)}{views.verdict(sight, given)}"
            f"{views.tally(sight, answers)}{views.text_after(sight, self._facts) or text}"
        )


def _kind(sight: Sight) -> str:
    """Of the form that stands there; empty without one."""
    if sight.pushed is None or sight.revealed:
        return ""
    return "vote" if sight.pushed.kind == "vote" else sight.pushed.ask.kind


def _of(has: Any, name: str) -> str:
    """A text that the browser keeps; empty where it keeps none."""
    found = has.get(name) if isinstance(has, dict) else None
    return found if isinstance(found, str) else ""
