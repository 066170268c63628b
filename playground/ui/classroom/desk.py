"""What a teacher can do, for a browser that has `{code, token}`; each act raises Refusal with one sentence."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.classroom.address import join_address
from playground.classroom.plain import Class, Round
from playground.classroom.pushed import grid_of, step_of
from playground.classroom.room import Room, Sight
from playground.refusal import Refusal
from playground.ui.classroom.board import board
from playground.ui.shared.html import error
from playground.ui.shared.sure import question as asked_first

Offer = tuple[str, str]  # what stands in a list, and what it means: "lesson/step" or a grid's token


@dataclass(frozen=True)
class Told:
    """What the page shows: of no class while none is taught."""

    view: str
    seen: str  # another one whenever something has changed
    class_: Class | None = None
    round: Round | None = None
    problem: str = ""


class Desk:
    def __init__(self, page: gr.Blocks, room: Room, facts: Mapping[str, str]) -> None:
        self._page, self._room, self._facts = page, room, facts

    def steps(self) -> list[Offer]:
        """All steps of all lessons."""
        return [
            (f"{i + 1}.{k + 1} {lesson.title}: {step.title}", f"{lesson.key}/{k}")
            for i, lesson in enumerate(self._room.lessons)
            for k, step in enumerate(lesson.steps)
        ]

    def open(self, name: Any, password: Any, days: Any) -> dict[str, str]:
        """-> what the browser is to keep."""
        code, token = self._room.register.open(name, password, days)
        return {"code": code, "token": token}

    def come_back(self, code: Any, password: Any) -> dict[str, str]:
        token = self._room.register.come_back(code, password)
        return {"code": self._room.register.find(code).code, "token": token}

    def step(self, has: Any, which: Any) -> dict[str, Any]:
        """-> what `show` takes, as from the two below."""
        self._class(has)
        lesson, _, step = which.partition("/") if isinstance(which, str) else ("", "", "")
        if not step.isdecimal() or len(step) > 3:
            raise Refusal("Choose a step first.")
        return step_of(lesson, int(step))

    def grid(self, has: Any, link: Any, question: Any, vote: Any) -> dict[str, Any]:
        self._class(has)
        return grid_of(link, question, vote is True, self._room.engine)

    def following(self, has: Any) -> dict[str, Any]:
        return self._room.following(self._class(has))

    def asks(self, what: dict[str, Any]) -> str:
        """What the teacher is asked once more before pictures that hold the machine for long; empty before others."""
        return asked_first(self._room.engine, self._room.to_draw(what))

    def show(self, has: Any, what: dict[str, Any]) -> None:
        self._room.show(self._class(has), what)

    def reveal(self, has: Any) -> None:
        self._room.register.reveal(self._round(has))

    def freeze(self, has: Any) -> None:
        """Or takes answers again."""
        round_ = self._round(has)
        if round_.revealed:
            raise Refusal("This is revealed already; answers are over.")
        self._room.register.freeze(round_, not round_.frozen)

    def again(self, has: Any) -> None:
        self._room.again(self._class(has))

    def close(self, has: Any) -> None:
        self._room.register.close_class(self._class(has))

    def delete(self, has: Any, sure: Any) -> None:
        class_ = self._class(has)
        if sure is not True:
            raise Refusal("Tick the box first: names and answers cannot be brought back.")
        self._room.register.delete(class_)

    def results(self, has: Any) -> str:
        """A link that holds the whole table, so that no file of it is left on the server."""
        class_ = self._class(has)
        data = base64.b64encode(self._room.csv(class_).encode("utf-8-sig")).decode()  # spreadsheets look for the mark
        name = f"class-{class_.code}.csv"
        return f'<p><a class="dp-button" download="{name}" href="data:text/csv;base64,{data}">Save {name}</a></p>'

    def looks(self, has: Any, request: gr.Request, before: Any = None) -> Told:
        """What is to be seen now; without its HTML where its stamp is `before`."""
        if not isinstance(has, dict) or not has.get("code"):
            return Told("", "none")
        try:
            class_ = self._class(has)
            sight = self._room.sight(class_)
            answers = self._room.answers(sight)
            here = self._room.here(class_)
            address = self._address(class_, request)
            seen = f"{sight.stamp(all_of_it=True)} {sight.now.joined} {here} {address} {hash(repr(answers))}"
            view = "" if seen == before else board(sight, address, self._facts, answers, here)
        except Refusal as refusal:
            return Told(error(str(refusal)), f"? {refusal}", problem=str(refusal))
        return Told(view, seen, class_, sight.now.round)

    def round_of(self, has: Any) -> Round | None:
        """What the browser's class is at; None of no class."""
        try:
            return self._room.register.now(self._class(has)).round
        except Refusal:
            return None

    def _address(self, class_: Class, request: gr.Request) -> str:
        headers = request.headers
        scheme = headers.get("x-forwarded-proto", "").split(",")[0].strip() or request.request.url.scheme
        host = headers.get("x-forwarded-host", "").split(",")[0].strip() or headers.get("host", "")
        listens = getattr(self._page, "server_name", None)
        root = str(request.request.scope.get("root_path", ""))
        return join_address(scheme if scheme in ("http", "https") else "http", host, root, listens, class_.code)

    def _class(self, has: Any) -> Class:
        has = has if isinstance(has, dict) else {}
        if not has.get("code"):
            raise Refusal("Open a class first.")
        return self._room.register.taught(has["code"], has.get("token"))

    def _round(self, has: Any) -> Round:
        sight: Sight = self._room.sight(self._class(has))
        if sight.now.round is None:
            raise Refusal("Nothing is shown yet.")
        return sight.now.round
