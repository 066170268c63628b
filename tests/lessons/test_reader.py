"""A lesson's file becomes a lesson, or is refused with the line that is wrong."""

from pathlib import Path

import pytest

from playground.lessons.reader import LessonFault, read, read_file
from playground.lessons.shelf import shelf
from playground.refusal import Refusal

GOOD = """---
title: Trying
about: a try
minutes: 3
sources: [{name: A paper, link: "https://example.org"}]
---
## First step
Text with {T} levels.
```ask
pick: clipped
question: Which one?
look: At the colours.
expect: 2
```
```run
pictures:
  base: {prompt: cat, num_inference_steps: 2}
  axis: guidance_scale
  values: [1, 5]
```
It is {clipped last} at {label last}.
"""


def test_a_good_file_is_a_lesson() -> None:
    lesson = read(GOOD, "trying.md")
    (step,) = lesson.steps
    assert (lesson.key, lesson.title, lesson.minutes) == ("trying", "Trying", 3)
    assert step.title == "First step" and step.before == "Text with {T} levels."
    assert step.after.strip() == "It is {clipped last} at {label last}."
    assert (step.ask.kind, step.ask.measure, step.ask.expect, step.ask.line) == ("pick", "clipped", "2", 10)
    assert [label for label, _ in step.run.cells] == ["guidance 1", "guidance 5"]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("title: Trying", "title: [Trying", 3, "YAML"),
        ("minutes: 3", "minutes: three", 4, "“minutes”"),
        ("minutes: 3\n", "", 2, "“minutes” is missing"),
        ("https://", "http://", 5, "https://"),
        ("## First step", "First step", 7, "## Title"),
        ("{T} levels", "1000 levels", 8, "1000 is typed"),
        ("{T} levels", "{Q} levels", 8, "no number known here"),
        ("{T} levels", "{clipped first} levels", 8, "only after the run"),
        ("```ask", "```task", 9, "“task”"),
        ("pick: clipped", "pick: loss", 10, "“loss” is not measured"),
        ("look: At the colours.\n", "", 10, "“look” is missing"),
        ("look: At the colours.", "wont: At the colours.", 12, "“wont” is not known"),
        ("values: [1, 5]", "values: [1, 99]", 18, "guidance_scale must be from 0 to 50"),
        ("axis: guidance_scale", "axis: guidance", 18, "“guidance” is not a field"),
        ("num_inference_steps: 2", "stops: 2", 17, "is not a field"),
        ("pictures:", "paintings:", 16, "A run is one of"),
        ("{clipped last}", "{loss last}", 21, "not measured in this run"),
        ("{clipped last}", "12 %", 21, "12 is typed"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, line: int, says: str) -> None:
    assert old in GOOD
    with pytest.raises(LessonFault) as fault:
        read(GOOD.replace(old, new, 1), "trying.md")
    assert says in str(fault.value)
    assert f"trying.md, line {fault.value.line}:" in str(fault.value)
    shift = 1 if old == "axis: guidance_scale" else 0  # the value stands on the next lines of the block
    assert line - shift <= fault.value.line <= line + shift


@pytest.mark.parametrize(
    "text", ["", "no head", "---\ntitle: x\n", "---\n---\n", "---\ntitle: a\nabout: b\nminutes: 1\n---\n"]
)
def test_a_file_that_is_no_lesson_is_refused(text: str) -> None:
    with pytest.raises(LessonFault):
        read(text, "x.md")


def test_python_objects_in_yaml_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_text("---\ntitle: !!python/object/apply:os.system [echo]\n---\n")
    with pytest.raises(LessonFault):
        read_file(path)


def test_a_question_needs_a_run() -> None:
    begin, rest = GOOD.index("```run"), GOOD.index("It is")
    with pytest.raises(LessonFault, match="needs a “run”"):
        read(GOOD[:begin] + "Text.\n" + GOOD[rest:], "x.md")


def test_the_eight_lessons_are_read_and_a_teachers_come_after_them(tmp_path: Path) -> None:
    own = shelf()
    assert len(own) == 8 and all(lesson.sources and 5 <= lesson.minutes <= 7 for lesson in own)
    (tmp_path / "mine.md").write_text(GOOD, encoding="utf-8")
    assert [lesson.key for lesson in shelf(tmp_path)] == [*(lesson.key for lesson in own), "mine"]
    (tmp_path / f"{own[0].key}.md").write_text(GOOD, encoding="utf-8")
    with pytest.raises(Refusal, match="two lessons named"):
        shelf(tmp_path)
    with pytest.raises(Refusal, match="no folder"):
        shelf(tmp_path / "absent")
