"""What a class answered, as a table that a spreadsheet opens and does not run."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from playground.classroom.plain import Member, Round
from playground.classroom.pushed import Pushed
from playground.measure.named import written

HEAD = ("round", "shown", "question", "visitor", "name", "answer", "as measured", "measured")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # how a cell begins that is computed


def to_csv(
    rounds: Sequence[Round],
    pushed: Callable[[Round], Pushed | None],
    answers: Callable[[Round], Sequence[tuple[Member, Any]]],
) -> str:
    """One row for each answer; `pushed` gives None for what this machine can show no more."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(HEAD)
    for round_ in rounds:
        shown = pushed(round_)
        values = round_.measured.get("values", {})
        title, question = (shown.title, shown.question) if shown else ("not here any more", "")
        measured = _measured(shown, round_) if shown else ""
        for member, answer in answers(round_):
            known = shown is not None and shown.fits(answer)
            words = shown.words(answer) if known else json.dumps(answer)
            right = shown.is_right(answer, values) if known else None
            verdict = "" if right is None else "yes" if right else "no"
            row = (round_.number, title, question, member.number, member.name, words, verdict, measured)
            writer.writerow([plain(cell) if isinstance(cell, str) else cell for cell in row])
    return file.getvalue()


def plain(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _measured(shown: Pushed, round_: Round) -> str:
    values = round_.measured.get("values", {}).get(shown.ask.measure) if shown.ask else None
    if not values:
        return ""
    pairs = zip(shown.labels, values, strict=False)
    return "; ".join(f"{label}: {written(shown.ask.measure, value)}" for label, value in pairs)
