"""What visitors and the teacher's screen show, as HTML: the question, the pictures, everybody's answers as bars."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from playground.classroom.room import Sight
from playground.classroom.tally import Bar, bars, came_true, explained
from playground.measure.named import noted
from playground.ui.shared.feedback import feedback
from playground.ui.shared.files import FILES
from playground.ui.shared.frames import grid
from playground.ui.shared.html import escaped
from playground.ui.shared.prose import markdown, sources
from playground.ui.shared.question import question_form

LETTERS = "ABCDEFGHIJKLMNOP"  # of a vote's pictures before they are revealed
DRAWN, AND_MEASURED = "Drawn here for this class", ", and measured in these pictures."


def status(sentence: str) -> str:
    return f'<p class="dp-quiet" role="status">{escaped(sentence)}</p>'


def progress(sight: Sight) -> str:
    """How far the pictures are; empty once they are there."""
    drawing = sight.drawing
    if drawing is None or drawing.finished:
        return ""
    if drawing.reason:
        return f'<p class="dpc-problem" role="status">The pictures are missing. {escaped(drawing.reason)}</p>'
    return status(drawing.waits or f"The pictures are being drawn: {100 * drawing.share:.0f} %.")


def title(sight: Sight) -> str:
    """Of a vote it would say what differs."""
    hidden = sight.pushed.kind == "vote" and not sight.revealed
    return f'<h2 tabindex="-1">{"Blind vote" if hidden else escaped(sight.pushed.title)}</h2>'


def head(sight: Sight) -> str:
    """Title, what to read, and what is asked."""
    question = f'<p class="dpc-question">{escaped(sight.pushed.question)}</p>' if sight.pushed.question else ""
    return f"{title(sight)}{question}"


def text_before(sight: Sight, facts: Mapping[str, str]) -> str:
    step = sight.pushed.step
    return f'<div class="dp-words">{markdown(step.before, facts)}</div>' if step else ""


def text_after(sight: Sight, facts: Mapping[str, str]) -> str:
    """What a lesson says with its pictures, with the numbers that were measured in them."""
    step = sight.pushed.step
    if step is None or not sight.drawing.finished:
        return ""
    said = markdown(step.after, facts, sight.pushed.labels, sight.drawing.values)
    return f'<div class="dp-words">{said}</div>{sources(sight.pushed.lesson)}'


def pictures(sight: Sight) -> str:
    """All cells with their settings and what was measured; frames while they are being drawn."""
    pushed, drawing = sight.pushed, sight.drawing
    if not pushed.labels:
        return ""
    urls = _urls(sight)
    measure = pushed.ask.measure if pushed.ask else ""
    values = drawing.values.get(measure, (None,) * len(pushed.labels))
    notes = [noted(measure, v) for v in values]
    told = DRAWN + (AND_MEASURED if pushed.ask else ".")
    source = f'<p class="dp-quiet dp-source">{told}</p>' if drawing.finished else progress(sight)
    tiles = pushed.run.tiles if pushed.run else (1, 1)
    return f"{grid(pushed.labels, urls, notes, 'done' if drawing.finished else 'waiting', tiles=tiles)}{source}"


def lettered(sight: Sight) -> str:
    """A vote's pictures without their settings, in the order that the class has."""
    if not sight.drawing.finished:
        return progress(sight)
    urls = _urls(sight)
    names = [f"Picture {letter}" for letter in LETTERS[: len(urls)]]
    return grid(names, [urls[cell] for cell in sight.order], [""] * len(urls), "done")


def ballot(sight: Sight) -> str:
    """The same to choose from."""
    if not sight.drawing.finished:
        return progress(sight)
    urls, choices = _urls(sight), ""
    for letter, cell in zip(LETTERS, sight.order, strict=False):
        choices += (
            f'<label><img src="{escaped(urls[cell])}" alt="Picture {letter}"><span>'
            f'<input type="radio" name="dp-answer" value="{cell}"> Picture {letter}</span></label>'
        )
    legend = escaped(sight.pushed.question)
    return f'<fieldset class="dpc-ballot"><legend>{legend}</legend><div>{choices}</div></fieldset>'


def form(sight: Sight, given: Any) -> str:
    """The question as a visitor answers it; `given`: the answer that is kept, None for none."""
    round_, pushed = sight.now.round, sight.pushed
    inside = ballot(sight) if pushed.kind == "vote" else question_form(pushed.ask, pushed.labels)
    ready = pushed.kind != "vote" or sight.drawing.finished
    over = round_.frozen or sight.now.class_.closed
    if over:
        says = "Answers are over; wait for what comes out." if given is not None else "Answers are frozen."
    elif given is not None:
        says = f"Your answer is kept: {_words(sight, given)}. You can change it until your teacher stops the answers."
    else:
        says = ""
    send = "Vote" if pushed.kind == "vote" else "Answer"
    send = f"Change my {send.lower()}" if given is not None else send
    button = f'<button type="submit" class="dp-run">{send}</button>' if ready and not over else ""
    kept = escaped(json.dumps(given))
    return (
        f'<form class="dp-ask" data-round="{round_.number}" data-given="{kept}"{" data-over" if over else ""}>'
        f'{inside}<div class="dp-actions">{button}</div>{status(says) if says else ""}</form>'
    )


def verdict(sight: Sight, given: Any) -> str:
    """What the run says to a visitor's own answer."""
    pushed, values = sight.pushed, sight.drawing.values
    if given is None or not sight.drawing.finished:
        return ""
    if pushed.kind == "vote":
        return status(f"You voted for: {pushed.words(given)}.")
    found = values.get(pushed.ask.measure)
    if found is None or all(value is None for value in found):
        return ""
    return feedback(pushed.ask, given, pushed.labels, found)


def tally(sight: Sight, answers: Sequence[Any]) -> str:
    """Everybody's answers as bars; of a revealed question with what was measured."""
    pushed = sight.pushed
    if pushed.kind == "show":
        return ""
    known = sight.drawing.values if sight.revealed and sight.drawing.finished else {}
    hidden = pushed.kind == "vote" and not sight.revealed
    found = bars(pushed, answers, known, sight.order if hidden else ())
    if hidden:
        found = [Bar(f"Picture {letter}", bar.share, bar.written) for letter, bar in zip(LETTERS, found, strict=False)]
    count = "1 answer" if len(answers) == 1 else f"{len(answers)} answers"
    foretold = came_true(pushed, answers, known) if known else None
    told = f" {foretold[0]} of {foretold[1]} predicted what came out." if foretold else ""
    rows = "".join(_bar(bar) for bar in found)
    return (
        '<section class="dpc-tally" aria-label="Answers of the class"><p class="dp-quiet">'
        f"{escaped(explained(pushed))} {count}.{told}</p><dl>{rows}</dl></section>"
    )


def _bar(bar: Bar) -> str:
    mark = '<span class="dpc-right">measured</span>' if bar.right else ""
    return (
        f'<dt>{escaped(bar.label)} {mark}</dt><dd><i style="width:{100 * bar.share:.1f}%"'
        f"{' data-right' if bar.right else ''}></i><b>{escaped(bar.written)}</b></dd>"
    )


def _urls(sight: Sight) -> list[str]:
    return [FILES.url(data, "cell.png") if data else "" for data in sight.drawing.pictures]


def _words(sight: Sight, given: Any) -> str:
    if sight.pushed.kind == "vote":  # without its settings, which would say too much
        return f"picture {LETTERS[sight.order.index(given)]}"
    return sight.pushed.words(given).rstrip(".")
