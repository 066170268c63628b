"""The left side of a lesson as HTML: where one is, what to read, the question, and the buttons."""

from collections.abc import Mapping, Sequence, Set

from playground.lessons.earlier import name_of
from playground.lessons.lesson import Lesson, Step
from playground.ui.shared.html import escaped
from playground.ui.shared.prose import markdown
from playground.ui.shared.question import question_form

# how many runs there are, and what comes next, only the browser knows: closing.js says it there
CLOSING = (
    '<div class="dpl-closing"><button type="button" class="dp-button" data-act="onward">Next step</button>'
    '<p class="dp-quiet" data-runs></p><div class="dp-actions">'
    '<button type="button" class="dp-button" data-act="quiz">Closing quiz</button>'
    '<button type="button" class="dp-button" data-act="sheet">Print what I did</button></div>'
    '<p class="dp-quiet dpl-class">With others in the room: <a href="./join">join a class</a> or '
    '<a href="./teach">teach one</a>.</p></div>'
)


def rail(
    lessons: Sequence[Lesson],
    at: tuple[int, int],
    facts: Mapping[str, str],
    labels: Sequence[str],
    earlier: bool,
    done: Set[str] = frozenset(),
) -> str:
    """`at`: lesson and step; `labels` of the step's cells, empty where this model cannot run it; `earlier`: pictures
    drawn earlier can be shown; `done`: names of the steps that were looked at."""
    lesson = lessons[at[0]]
    step = lesson.steps[at[1]]
    question = question_form(step.ask, labels) if step.ask and labels else ""
    return (
        f'<div class="dp-asking" data-lesson="{escaped(lesson.key)}" data-step="{at[1]}" '
        f'data-name="{escaped(name_of(lesson, at[1]))}" data-kind="{step.ask.kind if question else ""}">'
        f"{_chooser(lessons, at[0])}{_onward(lessons, at, done)}"
        f'<h2 tabindex="-1">{escaped(step.title)}</h2>'
        f'<div class="dp-words">{markdown(step.before, facts)}</div>'
        f'<form class="dp-ask">{question}{_buttons(step, bool(labels), earlier)}</form></div>'
    )


def _chooser(lessons: Sequence[Lesson], chosen: int) -> str:
    options = "".join(
        f'<option value="{escaped(lesson.key)}"{" selected" if i == chosen else ""}>'
        f"{i + 1}. {escaped(lesson.title)}</option>"
        for i, lesson in enumerate(lessons)
    )
    lesson = lessons[chosen]
    return (
        f'<label class="dpl-lesson">Lesson {chosen + 1} of {len(lessons)}<select>{options}</select></label>'
        f'<p class="dp-quiet">{escaped(lesson.about)}; about {lesson.minutes} minutes.</p>'
    )


def _progress(lesson: Lesson, now: int, done: Set[str]) -> str:
    """One button for each step; a done one is marked for eye and screen reader."""
    items = ""
    for i, step in enumerate(lesson.steps):
        mark = "done" if name_of(lesson, i) in done else "open"
        current = ' aria-current="step"' if i == now else ""
        title = f"Step {i + 1}: {step.title}" + (", done" if mark == "done" else "")
        items += (
            f'<li><button type="button" data-to="{i}" data-mark="{mark}"{current} title="{escaped(title)}" '
            f'aria-label="{escaped(title)}">{"✓" if mark == "done" else i + 1}</button></li>'
        )
    return f'<ol class="dpl-progress" aria-label="Steps of this lesson">{items}</ol>'


def _buttons(step: Step, can_run: bool, earlier: bool) -> str:
    if step.run is None or not can_run:
        return ""
    shown = (
        '<button type="button" class="dp-button" data-act="show">Show pictures drawn earlier</button>'
        if earlier
        else ""
    )
    return (
        '<div class="dp-actions"><button type="submit" class="dp-run">Run it yourself</button>'
        f'<button type="button" class="dp-button" data-act="stop">Stop</button>{shown}</div>'
    )


def _onward(lessons: Sequence[Lesson], at: tuple[int, int], done: Set[str]) -> str:
    """The progress line between back and forth, which lead over the ends of lessons too."""
    lesson, step = at

    def button(label: str, to: tuple[int, int] | None) -> str:
        if to is None:
            return f'<button type="button" class="dp-button" disabled>{label}</button>'
        return (
            f'<button type="button" class="dp-button" data-lesson="{escaped(lessons[to[0]].key)}" data-to="{to[1]}">'
            f"{label}</button>"
        )

    back = (lesson, step - 1) if step else (lesson - 1, len(lessons[lesson - 1].steps) - 1) if lesson else None
    last = step + 1 == len(lessons[lesson].steps)
    onward = (lesson, step + 1) if not last else (lesson + 1, 0) if lesson + 1 < len(lessons) else None
    label = "Next lesson" if last and onward else "Next step"
    quiz = '<button type="button" class="dp-button" data-act="quiz">To the quiz</button>'
    forth = button(label, onward) if onward else quiz
    progress = _progress(lessons[lesson], step, done)
    return f'<nav class="dpl-onward" aria-label="Steps">{button("Back", back)}{progress}{forth}</nav>'
