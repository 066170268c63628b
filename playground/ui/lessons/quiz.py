"""The closing quiz as HTML: one question at a time over runs that exist, and what they measured after each answer.

The server keeps nothing of it: with each event the page says the seed, the runs it asks about and the answers so far,
so the same ten questions are built again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from playground.lessons import quiz
from playground.lessons.answers import TREND_WORDS
from playground.lessons.earlier import name_of, shown_earlier
from playground.lessons.lesson import Lesson
from playground.lessons.quiz import Case, Question
from playground.measure.named import MEASURES, written
from playground.models import Facts
from playground.refusal import Refusal
from playground.ui.lessons.kept import cases
from playground.ui.shared.files import FILES
from playground.ui.shared.html import error, escaped, png

LARGEST_SEED = 2**32 - 1
OWN, EARLIER = "From your own run.", "From a run drawn beforehand by this model, not yours."


@dataclass(frozen=True)
class Sitting:
    """How far a visitor is."""

    questions: tuple[Question, ...]
    cases: Mapping[str, Case]
    answers: tuple[Any, ...]  # all checked

    @property
    def missed(self) -> list[Question]:
        pairs = zip(self.questions, self.answers, strict=False)
        return [question for question, answer in pairs if not self.is_right(question, answer)]

    def is_right(self, question: Question, answer: Any) -> bool:
        return answer == quiz.right(question, self.values(question))

    def values(self, question: Question) -> Sequence[float | None]:
        return self.cases[question.name].values[question.measure]


def sit(lessons: Sequence[Lesson], facts: Facts, data: Any) -> tuple[Sitting, str]:
    """{seed, runs, answers} as the page says it -> the sitting, and a sentence where the newest answer is none; it and
    what follows it is left out."""
    data = data if isinstance(data, dict) else {}
    seed = data.get("seed")
    seed = seed if type(seed) is int and 0 <= seed <= LARGEST_SEED else 0
    found = cases(lessons, facts, data.get("runs"))
    questions = quiz.build(list(found.values()), seed)
    given, answers = data.get("answers"), []
    for question, answer in zip(questions, given if isinstance(given, list) else [], strict=False):
        try:
            answers.append(quiz.check(question, answer))
        except Refusal as refusal:
            return Sitting(questions, found, tuple(answers)), str(refusal)
    return Sitting(questions, found, tuple(answers)), ""


def places(lessons: Sequence[Lesson]) -> dict[str, tuple[Lesson, int]]:
    """Lesson and step by the step's name."""
    return {name_of(lesson, i): (lesson, i) for lesson in lessons for i in range(len(lesson.steps))}


def shown(lessons: Sequence[Lesson], facts: Facts, data: Any) -> str:
    """The question that comes next, what the last one measured while `feedback` is set, or the end."""
    sitting, problem = sit(lessons, facts, data)
    at, count = len(sitting.answers), len(sitting.questions)
    feedback = isinstance(data, dict) and data.get("feedback") is True and at and not problem
    where = places(lessons)
    if not count:
        inside = '<p role="status">There is no run to ask about yet. Run a step of a lesson, then come back.</p>'
    elif feedback:
        question = sitting.questions[at - 1]
        inside = _Page(question, at - 1, sitting, where, facts).answered()
    elif at < count:
        inside = _Page(sitting.questions[at], at, sitting, where, facts).asked(problem)
    else:
        inside = end(sitting, where)
    own = sum(case.own for case in sitting.cases.values())
    runs = "1 run" if own == 1 else f"{own} runs"
    rest = "" if all(q.own for q in sitting.questions) else ", and fills up with runs drawn beforehand, marked so"
    says = (
        f"It began when you had {runs} of your own; it asks about {'it' if own == 1 else 'those'}{rest}."
        if own
        else "It began before you had run a step of a lesson, so it asks about runs drawn beforehand, marked so."
    )
    return (
        f'<section class="dpq dpl-open" data-answered="{at}" data-of="{count}" aria-label="Closing quiz">'
        f'<div class="dpq-head"><h2>Closing quiz</h2>'
        '<button type="button" class="dp-button" data-act="close">Back to the lessons</button>'
        f'</div><p class="dp-quiet">{says}</p>{inside}</section>'
    )


def link(where: Mapping[str, tuple[Lesson, int]], name: str) -> str:
    """A link to a step; the page's script leads there."""
    lesson, step = where[name]
    words = f"{lesson.title}: {lesson.steps[step].title}"
    return f'<a href="#" data-lesson="{escaped(lesson.key)}" data-to="{step}">{escaped(words)}</a>'


def end(sitting: Sitting, where: Mapping[str, tuple[Lesson, int]]) -> str:
    count = len(sitting.questions)
    right = count - len(sitting.missed)
    names = dict.fromkeys(question.name for question in sitting.missed)
    again = "".join(f"<li>{link(where, name)}</li>" for name in names)
    look = f"<p>Worth another look:</p><ul>{again}</ul>" if names else "<p>There is no step to look at again.</p>"
    return (
        f'<div class="dpq-end" role="status"><h3 tabindex="-1">{right} of {count} right</h3>{look}</div>'
        '<div class="dp-actions"><button type="button" class="dp-run" data-act="sheet">Print what I did</button>'
        '<button type="button" class="dp-button" data-act="anew">Ask other questions</button></div>'
    )


@dataclass(frozen=True)
class _Page:
    """One question of a sitting."""

    question: Question
    at: int
    sitting: Sitting
    where: Mapping[str, tuple[Lesson, int]]
    facts: Facts

    def asked(self, problem: str) -> str:
        return (
            f'{self._head()}<form class="dpq-ask" data-kind="{self.question.kind}"><fieldset><legend tabindex="-1">'
            f"{escaped(self._text())}</legend>{self._help()}{self._held()}{self._choices()}</fieldset>"
            f'<div class="dp-error">{error(problem)}</div><div class="dp-actions">'
            '<button type="submit" class="dp-run">Answer</button></div></form>'
        )

    def answered(self) -> str:
        question, answer = self.question, self.sitting.answers[self.at]
        values, labels = self.sitting.values(question), self._case.labels
        good = self.sitting.is_right(question, answer)
        yours = said(question, answer, labels)
        state = "right" if good else "wrong"
        head = f"Right: {yours}." if good else f"Not right: you said {yours}."
        was = corrected(question, values, labels)
        should = "" if good else f" {was[0].upper()}{was[1:]}."
        last = self.at + 1 == len(self.sitting.questions)
        return (
            f'{self._head()}<p class="dpq-was">{escaped(self._text())}</p><div class="dpq-feedback" role="status" '
            f'id="dpq-feedback" data-verdict="{state}"><p><b>{escaped(head)}</b>{escaped(should)}'
            f"</p><p>{escaped(quiz.told(question, labels, values))}</p><p>Look again at: "
            f'{link(self.where, question.name)}</p></div>{self._held()}<div class="dpq-cells">{self._measured()}</div>'
            '<div class="dp-actions"><button type="button" class="dp-run" data-act="next" '
            f'aria-describedby="dpq-feedback">{"See the result" if last else "Next question"}</button></div>'
        )

    @property
    def _case(self) -> Case:
        return self.sitting.cases[self.question.name]

    def _text(self) -> str:
        return quiz.text(self.question, self._case.labels)

    def _head(self) -> str:
        lesson, step = self.where[self.question.name]
        source = OWN if self.question.own else EARLIER
        return (
            f'<p class="dpq-place"><b>Question {self.at + 1} of {len(self.sitting.questions)}</b> · '
            f"{escaped(lesson.title)}: {escaped(lesson.steps[step].title)} · "
            f'<span data-own="{str(self.question.own).lower()}">{source}</span></p>'
        )

    def _help(self) -> str:
        order = " Press them from the lowest to the highest; press again to take one back."
        more = order if self.question.kind == "order" else ""
        return f'<p class="dp-quiet">{escaped(MEASURES[self.question.measure].meaning)}{more}</p>'

    def _held(self) -> str:
        """The pictures that those that are asked about differ from."""
        held = quiz.held_against(self.question, self._case.labels)
        figures = "".join(
            f"<figure>{self._image(c)}<figcaption>{escaped(words)}</figcaption></figure>" for c, words in held.items()
        )
        return f'<div class="dpq-cells">{figures}</div>' if held else ""

    def _choices(self) -> str:
        question, labels = self.question, self._case.labels
        if question.kind == "trend":
            ends = "".join(
                f"<figure>{self._image(c)}<figcaption>{escaped(labels[c])}</figcaption></figure>"
                for c in question.cells
            )
            radios = "".join(_radio(key, "", f"It {words}.") for key, words in TREND_WORDS.items())
            return f'<div class="dpq-cells">{ends}</div><div class="dpq-words">{radios}</div>'
        hidden = question.kind == "picture"
        choices = ""
        for i, cell in enumerate(question.cells):
            name = f"picture {chr(ord('A') + i)}" if hidden else labels[cell]
            picture = self._image(cell, name)
            if question.kind == "order":
                choices += (
                    f'<button type="button" class="dp-button" data-cell="{cell}" aria-pressed="false">{picture}'
                    f"<span><b></b> {escaped(name)}</span></button>"
                )
            else:
                choices += _radio(cell, picture, name)
        return f'<div class="dpq-cells">{choices}</div>'

    def _measured(self) -> str:
        labels, values = self._case.labels, self.sitting.values(self.question)
        return "".join(
            f"<figure>{self._image(c)}<figcaption>{escaped(labels[c])}<br>"
            f"{escaped(written(self.question.measure, values[c]))}</figcaption></figure>"
            for c in self.question.cells
        )

    def _image(self, cell: int, alt: str = "") -> str:
        lesson, step = self.where[self.question.name]
        return image(self._case, lesson, step, cell, alt, self.facts)


def said(question: Question, answer: Any, labels: Sequence[str]) -> str:
    """An answer in words."""
    if question.kind == "trend":
        return f"it {TREND_WORDS[answer]}"
    if question.kind == "order":
        return ", ".join(quiz.quoted(labels[cell]) for cell in answer)
    return quiz.quoted(labels[answer])


def corrected(question: Question, values: Sequence[float | None], labels: Sequence[str]) -> str:
    """What the right answer was, as the rest of a sentence: "it falls", "it was “guidance 9”"."""
    words = said(question, quiz.right(question, values), labels)
    return words if question.kind == "trend" else f"it was {words}"


def image(case: Case, lesson: Lesson, step: int, cell: int, alt: str, facts: Facts) -> str:
    """A cell's picture: the browser has those of the visitor's own run, the server those drawn earlier."""
    if case.own:
        return f'<img data-name="{escaped(case.name)}" data-at="{cell}" alt="{escaped(alt)}">'
    outcome = shown_earlier(lesson, step, facts)
    picture: Image.Image = outcome.pictures[cell]
    return f'<img src="{escaped(FILES.url(png(picture), "cell.png"))}" alt="{escaped(alt)}">'


def _radio(value: str | int, picture: str, label: str) -> str:
    return (
        f'<label>{picture}<span><input type="radio" name="dpq-answer" value="{value}"> {escaped(label)}</span></label>'
    )
