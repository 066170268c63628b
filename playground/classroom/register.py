"""The classes, in SQLite beside the store: everything that must survive a restart and a closed laptop.

Nobody has an account. A teacher is who has a token of the class, or knows its password; a visitor is who has the token
that joining gave. What is asked wrongly raises Refusal with one sentence.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from playground.classroom.file import File
from playground.classroom.given import days_given, name_given, password_given
from playground.classroom.keys import is_password, mark_of, new_code, new_token, read_code
from playground.classroom.plain import Class, Member, Now, Round
from playground.refusal import Refusal

MOST_CLASSES = 200
MOST_MEMBERS = 200  # of one class
MOST_ROUNDS = 500
LONGEST_ANSWER = 2000  # letters of its JSON
TRIES = 5  # wrong passwords for one class, before it rests
REST = 60.0  # seconds
PURGE = 60.0  # seconds between two looks for classes whose time is over
DAY = 86_400.0
NO_CLASS = "There is no class with this code. It may have been deleted; ask your teacher."
NOT_YOURS = "This browser does not teach that class. Come back to it with its code and password."


def path_beside(store: Path) -> Path:
    """Where the classes of a store's folder are kept: "cells" -> "cells-classes.sqlite3" beside it."""
    return store.with_name(f"{store.name}-classes.sqlite3")


class Register:
    """Safe for many threads, and for several processes on one file."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._file, self._clock = File(path), clock
        self._purged = 0.0
        self._wrong: dict[int, list[float]] = {}  # class -> when its last wrong passwords were given

    # --- the teacher --------------------------------------------------------------------------------------------------

    def open(self, name: object, password: object = "", days: object = 7) -> tuple[str, str]:
        """A new class -> its code, and the token of its teacher's browser."""
        name, kept = name_given(name, "The class"), password_given(password)
        ends, token = self._clock() + days_given(days) * DAY, new_token()
        with self._file.writing() as sql:
            if sql.execute("SELECT count(*) FROM classes").fetchone()[0] >= MOST_CLASSES:
                raise Refusal(f"There are {MOST_CLASSES} classes here already; one must be deleted first.")
            code = new_code()
            while sql.execute("SELECT 1 FROM classes WHERE code = ?", (code,)).fetchone():
                code = new_code()
            row = (code, name or "Class", kept, ends)
            made = sql.execute("INSERT INTO classes (code, name, password, ends) VALUES (?, ?, ?, ?)", row)
            sql.execute("INSERT INTO teachers VALUES (?, ?)", (made.lastrowid, mark_of(token)))
        return code, token

    def come_back(self, code: object, password: object) -> str:
        """Code and password -> a token for another browser of the teacher."""
        class_ = self.find(code)
        with self._file.reading() as sql:
            (kept,) = sql.execute("SELECT password FROM classes WHERE id = ?", (class_.id,)).fetchone() or (None,)
        if kept is None:
            raise Refusal("This class has no password, so only the browser that opened it can teach it.")
        now = self._clock()
        wrong = [when for when in self._wrong.get(class_.id, []) if now - when < REST]
        if len(wrong) >= TRIES:
            raise Refusal("Too many wrong passwords; wait a minute.")
        if not is_password(password, kept):
            self._wrong[class_.id] = [*wrong, now]
            raise Refusal("That is not the password of this class.")
        token = new_token()
        with self._file.writing() as sql:
            sql.execute("INSERT INTO teachers VALUES (?, ?)", (class_.id, mark_of(token)))
        return token

    def taught(self, code: object, token: object) -> Class:
        """The class, for a browser that teaches it."""
        class_ = self.find(code)
        with self._file.reading() as sql:
            known = sql.execute("SELECT 1 FROM teachers WHERE class = ? AND mark = ?", (class_.id, mark_of(token)))
            if known.fetchone() is None:
                raise Refusal(NOT_YOURS)
        return class_

    def push(self, class_: Class, what: Mapping[str, Any]) -> Round:
        """From now on everybody is shown this; what was answered before stays."""
        with self._file.writing() as sql:
            (last,) = sql.execute("SELECT max(number) FROM rounds WHERE class = ?", (class_.id,)).fetchone()
            if (last or 0) >= MOST_ROUNDS:
                raise Refusal(f"A class can be shown {MOST_ROUNDS} things; open another one.")
            row = (class_.id, (last or 0) + 1, json.dumps(what))
            made = sql.execute("INSERT INTO rounds (class, number, what) VALUES (?, ?, ?)", row)
            return Round(made.lastrowid, row[1], what)

    def freeze(self, round_: Round, frozen: bool) -> None:
        """While it is frozen no answer is taken or changed. What is revealed stays frozen."""
        with self._file.writing() as sql:
            sql.execute("UPDATE rounds SET frozen = ? OR revealed WHERE id = ?", (frozen, round_.id))

    def reveal(self, round_: Round) -> None:
        """Everybody is shown how it came out; answers are over."""
        with self._file.writing() as sql:
            sql.execute("UPDATE rounds SET frozen = 1, revealed = 1 WHERE id = ?", (round_.id,))

    def measured(self, round_: Round, found: Mapping[str, Any]) -> None:
        """Keeps what the pictures of a round showed, the first time that they are there."""
        with self._file.writing() as sql:
            row = (json.dumps(found), round_.id)
            sql.execute("UPDATE rounds SET measured = ? WHERE id = ? AND measured IS NULL", row)

    def close_class(self, class_: Class) -> None:
        with self._file.writing() as sql:
            sql.execute("UPDATE classes SET closed = 1 WHERE id = ?", (class_.id,))

    def delete(self, class_: Class) -> None:
        """The class, its names and its answers; nothing of them stays in the file."""
        with self._file.writing() as sql:
            sql.execute("DELETE FROM classes WHERE id = ?", (class_.id,))
        self._forget_deleted()

    # --- the visitors -------------------------------------------------------------------------------------------------

    def join(self, code: object, name: object = "") -> str:
        """A name or none -> the token of this visitor's browser."""
        name, class_, token = name_given(name, "A name"), self.find(code), new_token()
        with self._file.writing() as sql:
            self._open_for_all(sql, class_)
            (count,) = sql.execute("SELECT count(*) FROM members WHERE class = ?", (class_.id,)).fetchone()
            if count >= MOST_MEMBERS:
                raise Refusal(f"This class is full: {MOST_MEMBERS} have joined it.")
            row = (class_.id, count + 1, name, mark_of(token))
            sql.execute("INSERT INTO members (class, number, name, mark) VALUES (?, ?, ?, ?)", row)
        return token

    def member(self, class_: Class, token: object) -> Member:
        with self._file.reading() as sql:
            asked = "SELECT id, number, name FROM members WHERE class = ? AND mark = ?"
            row = sql.execute(asked, (class_.id, mark_of(token))).fetchone()
        if row is None:
            raise Refusal("This browser has not joined that class yet.")
        return Member(*row)

    def answer(self, class_: Class, member: Member, round_: Round, answer: Any) -> None:
        """One answer of each visitor, in place of an earlier one, as long as the round is the latest and not frozen."""
        text = json.dumps(answer)
        if len(text) > LONGEST_ANSWER:
            raise Refusal("This answer is too long.")
        with self._file.writing() as sql:
            self._open_for_all(sql, class_)
            latest = sql.execute(
                "SELECT id, frozen FROM rounds WHERE class = ? ORDER BY number DESC LIMIT 1", (class_.id,)
            ).fetchone()
            if latest is None or latest[0] != round_.id:
                raise Refusal("The class is at another question by now; your answer was not taken.")
            if latest[1]:
                raise Refusal("Answers are frozen; yours was not taken.")
            sql.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (round_.id, member.id, text))

    # --- everybody ----------------------------------------------------------------------------------------------------

    def find(self, code: object) -> Class:
        """The class with this code. Raises Refusal where there is none, or its time is over."""
        self.purge()
        code = read_code(code)
        with self._file.reading() as sql:
            row = sql.execute("SELECT id, code, name, ends, closed FROM classes WHERE code = ?", (code,)).fetchone()
        if row is None or row[3] <= self._clock():
            raise Refusal(NO_CLASS)
        return Class(*row[:4], bool(row[4]))

    def now(self, class_: Class) -> Now:
        with self._file.reading() as sql:
            (joined,) = sql.execute("SELECT count(*) FROM members WHERE class = ?", (class_.id,)).fetchone()
            asked = "SELECT * FROM rounds WHERE class = ? ORDER BY number DESC LIMIT 1"
            latest = next((_round(row) for row in sql.execute(asked, (class_.id,))), None)
            answered = 0
            if latest is not None:
                counted = "SELECT count(*) FROM answers WHERE round = ?"
                (answered,) = sql.execute(counted, (latest.id,)).fetchone()
        return Now(class_, latest, joined, answered)

    def rounds(self, class_: Class) -> list[Round]:
        """All that was shown, in order."""
        with self._file.reading() as sql:
            rows = sql.execute("SELECT * FROM rounds WHERE class = ? ORDER BY number", (class_.id,)).fetchall()
        return [_round(row) for row in rows]

    def answers(self, round_: Round) -> list[tuple[Member, Any]]:
        """Who answered what, in the order in which they joined."""
        with self._file.reading() as sql:
            rows = sql.execute(
                "SELECT id, number, name, answer FROM answers JOIN members ON members.id = member WHERE round = ? "
                "ORDER BY number",
                (round_.id,),
            ).fetchall()
        return [(Member(*row[:3]), json.loads(row[3])) for row in rows]

    def answer_of(self, round_: Round, member: Member) -> Any:
        """None where there is none yet."""
        with self._file.reading() as sql:
            asked = "SELECT answer FROM answers WHERE round = ? AND member = ?"
            row = sql.execute(asked, (round_.id, member.id)).fetchone()
        return json.loads(row[0]) if row else None

    def close(self) -> None:
        self._file.close()

    # --- what is over -------------------------------------------------------------------------------------------------

    def purge(self) -> None:
        """Deletes what is over, at most once in a while; no file is made for that."""
        now = self._clock()
        if now - self._purged < PURGE or not self._file.exists():
            return
        self._purged = now
        with self._file.reading() as sql:
            if sql.execute("SELECT 1 FROM classes WHERE ends <= ?", (now,)).fetchone() is None:
                return
        with self._file.writing() as sql:
            sql.execute("DELETE FROM classes WHERE ends <= ?", (now,))
        self._forget_deleted()

    def _forget_deleted(self) -> None:
        """The journal, too, holds nothing of what was deleted."""
        with self._file.reading() as sql:
            sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _open_for_all(self, sql: sqlite3.Connection, class_: Class) -> None:
        row = sql.execute("SELECT closed FROM classes WHERE id = ?", (class_.id,)).fetchone()
        if row is None:
            raise Refusal(NO_CLASS)
        if row[0]:
            raise Refusal("This class is closed.")


def _round(row: tuple[Any, ...]) -> Round:
    id_, _, number, what, frozen, revealed, measured = row
    return Round(id_, number, json.loads(what), bool(frozen), bool(revealed), json.loads(measured or "{}"))
