"""What a visitor did, as one sheet for paper: built from what the browser keeps, and from runs drawn earlier."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playground.lessons.answers import check_answer, judge, said
from playground.lessons.earlier import name_of
from playground.lessons.lesson import Ask, Lesson, Step
from playground.lessons.quiz import Case, text, told
from playground.measure.named import noted
from playground.models import Facts
from playground.refusal import Refusal
from playground.ui.lessons import quiz
from playground.ui.lessons.kept import cases
from playground.ui.shared.html import escaped

# inside the page's own CSS Gradio would rewrite it so that it cannot reach what stands around the sheet
PRINT = (Path(__file__).parent / "print.css").read_text("utf-8")
OWN, EARLIER = "Run by the visitor.", "Drawn beforehand by this model."


def sheet(lessons: Sequence[Lesson], facts: Facts, data: Any) -> str:
    """{done: {step's name: answer}, runs, quiz: {seed, runs, answers}} as the page says it -> HTML. The name and the
    date are put in by the page's script."""
    data = data if isinstance(data, dict) else {}
    done = data.get("done")
    done = done if isinstance(done, dict) else {}
    runs = cases(lessons, facts, data.get("runs"))
    parts = "".join(_lesson(lesson, facts, done, runs) for lesson in lessons)
    asked = data.get("quiz")
    result = _quiz(lessons, facts, asked) if isinstance(asked, dict) else ""
    nothing = "" if parts or result else "<p>Nothing is done yet: answer a step of a lesson first.</p>"
    return (
        f'<style>{PRINT}</style><section class="dpp dpl-open" aria-label="What I did"><div class="dpp-tools">'
        '<label>Name, if you like; it stays in this browser <input type="text" maxlength="80" autocomplete="name">'
        '</label><div class="dp-actions"><button type="button" class="dp-run" data-act="print">Print or save as PDF'
        '</button><button type="button" class="dp-button" data-act="close">Back to the lessons</button></div></div>'
        '<h1 tabindex="-1">What I did in the lessons</h1><p class="dpp-who"><span class="dpp-name"></span>'
        f"<time></time></p>{nothing}{parts}{result}</section>"
    )


def _lesson(lesson: Lesson, facts: Facts, done: dict[str, Any], runs: dict[str, Case]) -> str:
    steps = ""
    for i, step in enumerate(lesson.steps):
        case = runs.get(name_of(lesson, i))
        if case is not None and (case.name in done or case.own):
            steps += _step(lesson, i, step, case, done.get(case.name), facts)
    return f'<section class="dpp-lesson"><h2>{escaped(lesson.title)}</h2>{steps}</section>' if steps else ""


def _step(lesson: Lesson, at: int, step: Step, case: Case, answer: Any, facts: Facts) -> str:
    question = _answer(step.ask, answer, case) if step.ask else ""
    measures = [step.ask.measure] if step.ask else [name for name in case.measures if name in case.values]
    cells = ""
    for cell, label in enumerate(case.labels):
        numbers = [noted(m, case.values[m][cell]) for m in measures if m in case.values]
        cells += (
            f"<figure>{quiz.image(case, lesson, at, cell, label, facts)}<figcaption>{escaped(label)}"
            f"<br>{escaped(', '.join(numbers))}</figcaption></figure>"
        )
    source = OWN if case.own else EARLIER
    return (
        f'<article><h3>{escaped(step.title)}</h3>{question}<div class="dpp-cells">{cells}</div>'
        f'<p class="dpp-source">{source}</p></article>'
    )


def _answer(ask: Ask, answer: Any, case: Case) -> str:
    asked = f"<p><b>Question:</b> {escaped(ask.question)}</p>"
    values = case.values.get(ask.measure)
    try:
        answer = check_answer(ask, answer, len(case.labels))
    except Refusal:
        return f"{asked}<p><b>Answer:</b> none was kept.</p>"
    verdict = ""
    if values is not None and any(value is not None for value in values):
        found = judge(ask, answer, case.labels, values)
        head = "As predicted." if found.right else "Not as predicted."
        verdict = f"<p><b>The run:</b> {head} {escaped(found.sentence)}</p>"
    return f"{asked}<p><b>Answer:</b> {escaped(said(ask, answer, case.labels))}</p>{verdict}"


def _quiz(lessons: Sequence[Lesson], facts: Facts, data: Any) -> str:
    sitting, _ = quiz.sit(lessons, facts, data)
    count, total = len(sitting.answers), len(sitting.questions)
    if not count:
        return ""
    rows = ""
    for question, answer in zip(sitting.questions, sitting.answers, strict=False):
        labels, values = sitting.cases[question.name].labels, sitting.values(question)
        good = sitting.is_right(question, answer)
        verdict = "right" if good else f"not right; {quiz.corrected(question, values, labels)}"
        source = "" if question.own else f" {EARLIER}"
        rows += (
            f"<li><p>{escaped(text(question, labels))}</p><p><b>Answer:</b> "
            f"{escaped(quiz.said(question, answer, labels))}, {escaped(verdict)}.</p>"
            f"<p>{escaped(told(question, labels, values))}{source}</p></li>"
        )
    so_far = "" if count == total else f" so far, {total - count} still to be asked"
    return (
        f'<section class="dpp-lesson dpp-quiz"><h2>Closing quiz</h2><p>{count - len(sitting.missed)} of {count} '
        f"right{so_far}.</p><ol>{rows}</ol></section>"
    )
