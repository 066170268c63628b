"""What a class is shown: a step of a lesson, or a grid; read from the few words that are kept of it."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from playground.engine import Engine
from playground.labels import axis_name, named, value_label
from playground.lessons.answers import TREND_WORDS, check_answer, choices, judge, said
from playground.lessons.lesson import Ask, Lesson, Step
from playground.lessons.runs.contract import Run
from playground.link import from_token
from playground.models import Facts
from playground.recipe import Recipe
from playground.refusal import Refusal

MOST_CELLS = 16  # of a grid: more are too small to judge on a phone
LONGEST_QUESTION = 200
USUAL_QUESTION = "Which of these do you like best?"


@dataclass(frozen=True)
class Pushed:
    """`kind`: "ask" is a question that the run decides, "vote" one that everybody decides, "show" is none."""

    kind: str
    title: str
    labels: tuple[str, ...]  # of the cells
    question: str = ""
    ask: Ask | None = None
    lesson: Lesson | None = None
    at: int = 0  # which step of it
    run: Run | None = None
    recipes: tuple[Recipe, ...] = ()

    @property
    def step(self) -> Step | None:
        return self.lesson.steps[self.at] if self.lesson else None

    def order(self, seed: int) -> list[int]:
        """The cells as they are shown before they are revealed: in a vote shuffled, the same way for everybody."""
        order = list(range(len(self.labels)))
        if self.kind == "vote":
            random.Random(seed).shuffle(order)
        return order

    def options(self) -> list[tuple[Any, str]]:
        """(answer, its words) of a question with a few answers; empty for an order and a curve."""
        if self.kind == "vote":
            return list(enumerate(self.labels))
        if self.ask is not None and self.ask.kind == "pick":
            return [(cell, self.labels[cell]) for cell in choices(self.ask, len(self.labels))]
        if self.ask is not None and self.ask.kind == "trend":
            return [(key, f"It {words}.") for key, words in TREND_WORDS.items()]
        if self.ask is not None and self.ask.kind == "number":
            return [(i, f"{option:,g}") for i, option in enumerate(self.ask.options)]
        return []

    def check(self, answer: Any) -> Any:
        """What a page sent -> the answer. Raises Refusal for one that is none."""
        if self.kind == "ask":
            return check_answer(self.ask, answer, len(self.labels))
        if self.kind == "vote":
            if type(answer) is int and 0 <= answer < len(self.labels):
                return answer
            raise Refusal("Choose one of the pictures first.")
        raise Refusal("Nothing is asked here.")

    def fits(self, answer: Any) -> bool:
        """Whether an answer that is kept is one still; a lesson may have been edited since."""
        try:
            self.check(answer)
        except Refusal:
            return False
        return True

    def words(self, answer: Any) -> str:
        """A checked answer in words."""
        return self.labels[answer] if self.kind == "vote" else said(self.ask, answer, self.labels)

    def is_right(self, answer: Any, values: Mapping[str, Sequence[float | None]]) -> bool | None:
        """Whether it came out so; None where nothing was measured, or nothing is right or wrong."""
        found = values.get(self.ask.measure) if self.ask else None
        if not found or len(found) != len(self.labels) or all(value is None for value in found):
            return None
        return judge(self.ask, answer, self.labels, found).right


def denoised(pushed: Pushed, facts: Facts) -> Sequence[Recipe]:
    """The recipes that the engine has to denoise for it, as far as they take long."""
    return pushed.run.denoised(facts) if pushed.run else pushed.recipes


def step_of(lesson: str, step: int) -> dict[str, Any]:
    """What is kept of a lesson's step."""
    return {"lesson": lesson, "step": step}


def grid_of(link: object, question: object, vote: bool, engine: Engine) -> dict[str, Any]:
    """A link of Compare, or what stands in it behind "grid=" -> what is kept of a grid. Raises Refusal for no link, a
    grid that is too large for a class, or one that this model cannot draw."""
    text = link.strip() if isinstance(link, str) else ""
    token = text.partition("grid=")[2].partition("&")[0].partition("#")[0] if "grid=" in text else text
    if not token:
        raise Refusal("Paste the address of a grid in Compare: it contains “grid=”.")
    what = {"grid": token, "question": _question(question) if vote else "", "vote": bool(vote)}
    read(what, (), engine)
    return what


def read(what: Mapping[str, Any], lessons: Sequence[Lesson], engine: Engine) -> Pushed:
    """What is kept -> what is shown. Raises Refusal where this model cannot show it or another one is to, or the lesson
    is not there."""
    model, facts = what.get("model", engine.facts.name), engine.facts
    if model in facts.others:
        raise Refusal(f"This is shown with {model}, whose page is {facts.others[model]}; join the class there.")
    if model != facts.name:
        raise Refusal(f"This was shown with {model}, which does not run here now. Its answers are kept.")
    if "grid" in what:
        return _grid(what, engine)
    found = next((lesson for lesson in lessons if lesson.key == what.get("lesson")), None)
    step = what.get("step")
    if found is None or type(step) is not int or not 0 <= step < len(found.steps):
        raise Refusal("This lesson is not on this machine.")
    run, ask = found.steps[step].run, found.steps[step].ask
    labels = tuple(run.labels(engine.facts)) if run else ()
    title = f"{found.title}: {found.steps[step].title}"
    question = ask.question if ask else ""
    return Pushed("ask" if ask else "show", title, labels, question, ask, found, step, run)


def following(pushed: Pushed, lessons: Sequence[Lesson]) -> dict[str, Any] | None:
    """The step after this one, into the next lesson; None after the last, and after a grid."""
    if pushed.lesson is None:
        return None
    at = lessons.index(pushed.lesson)
    if pushed.at + 1 < len(pushed.lesson.steps):
        return step_of(pushed.lesson.key, pushed.at + 1)
    return step_of(lessons[at + 1].key, 0) if at + 1 < len(lessons) else None


def _grid(what: Mapping[str, Any], engine: Engine) -> Pushed:
    sweep = from_token(str(what["grid"]), engine.facts.usual)
    recipes = tuple(sweep.recipes())
    if not 2 <= len(recipes) <= MOST_CELLS:
        raise Refusal(f"A class can be shown grids of 2 to {MOST_CELLS} pictures; this one has {len(recipes)}.")
    for recipe in recipes:
        engine.of(recipe.model).check(recipe)
    names = " × ".join(axis_name(axis) for axis in sweep.axes)
    kind, question = ("vote", what.get("question") or USUAL_QUESTION) if what.get("vote") else ("show", "")
    return Pushed(kind, f"Grid: {names}", tuple(map(_label, sweep.places())), question, recipes=recipes)


def _label(place: Mapping[str, Any]) -> str:
    """ "Guidance 5, Steps 20"; texts say themselves what they are."""

    def said(axis: str, value: Any) -> str:
        label = value_label(axis, value)
        return label if isinstance(value, str) else named(axis, label)

    return ", ".join(said(axis, value) for axis, value in place.items())


def _question(question: object) -> str:
    text = " ".join(question.split()) if isinstance(question, str) else ""
    if len(text) > LONGEST_QUESTION:
        raise Refusal(f"The question can have at most {LONGEST_QUESTION} letters.")
    return text or USUAL_QUESTION
