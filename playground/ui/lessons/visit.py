"""What the browser says of a visit, read with suspicion: it remembers progress and answers, the server nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from playground.lessons.lesson import Lesson, Step
from playground.refusal import Refusal

MOST_DONE = 500  # names of steps


@dataclass(frozen=True)
class Visit:
    lesson: int
    step: int
    answer: Any = None  # as the browser gave it; `answers.check_answer` decides whether it is one
    done: frozenset[str] = frozenset()  # names of steps

    def of(self, lessons: Sequence[Lesson]) -> tuple[Lesson, Step]:
        lesson = lessons[self.lesson]
        return lesson, lesson.steps[self.step]


def read(lessons: Sequence[Lesson], data: Any) -> Visit:
    """{lesson: key, step, answer, done} -> Visit; a lesson or step that is gone is the first. Raises Refusal for what
    no page of ours sends."""
    if not isinstance(data, dict) or not isinstance(data.get("done", []), list):
        raise Refusal("This is not a place in a lesson.")
    keys = [lesson.key for lesson in lessons]
    lesson = keys.index(data["lesson"]) if data.get("lesson") in keys else 0
    step = data.get("step")
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < len(lessons[lesson].steps):
        step = 0
    done = frozenset(name for name in data.get("done", [])[:MOST_DONE] if isinstance(name, str))
    return Visit(lesson, step, data.get("answer"), done)
