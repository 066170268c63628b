"""Markdown file -> Lesson. Whatever is wrong with a file is said with its line.

    ---
    title: Guidance
    about: How strongly the words push
    minutes: 6
    sources: [{name: …, link: https://…}]
    ---
    ## A step
    What to read before the question.
    ```ask
    curve: clipped
    question: …
    look: …
    ```
    ```run
    pictures: {base: {prompt: cat}, axis: guidance_scale, values: [1, 3, 5]}
    ```
    What to read with the pictures, where {clipped last} is the number that was measured.

Every step is a heading of the second level. Numbers are never typed into the text: see `numbers.py`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt

from playground.lessons import numbers
from playground.lessons.lesson import SHIPPED, Ask, Lesson, Step
from playground.lessons.runs.contract import Run, taken
from playground.lessons.runs.kinds import KINDS
from playground.refusal import Refusal

LARGEST = 64 * 1024  # bytes of a lesson
MOST_STEPS = 12
FENCE = "---"
ASKS = ("pick", "order", "curve", "trend", "number")
TRENDS = ("rises", "falls", "stays")
BLOCKS = ("ask", "run")


class LessonFault(Refusal):
    """Something that is wrong in a lesson's file, with its line."""

    def __init__(self, name: str, line: int, sentence: str) -> None:
        super().__init__(f"{name}, line {line}: {sentence}")
        self.line = line


@dataclass(frozen=True)
class _File:
    name: str

    def fault(self, line: int, sentence: str) -> LessonFault:
        return LessonFault(self.name, line, sentence)

    def data(self, text: str, line: int) -> dict[str, Any]:
        """YAML whose first line is this one of the file -> an object."""
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            at = line + (mark.line if mark else 0)
            raise self.fault(at, f"This is not YAML: {getattr(error, 'problem', None) or 'unreadable'}.") from None
        if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
            raise self.fault(line, "Here should be lines such as “name: value”.")
        return found


def read_file(path: Path) -> Lesson:
    """Raises LessonFault, a Refusal, with the line for anything that is wrong in it."""
    try:
        data = path.read_bytes()[: LARGEST + 1]
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise LessonFault(path.name, 1, "A lesson is a text file in UTF-8.") from None
    except OSError as error:
        raise Refusal(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > LARGEST:
        raise LessonFault(path.name, 1, f"A lesson has at most {LARGEST // 1024} kB.")
    return read(text, path.name)


def read(text: str, name: str) -> Lesson:
    """The text of a file and what it is called -> Lesson. Raises LessonFault."""
    file, lines = _File(name), text.splitlines()
    if not lines or lines[0].strip() != FENCE or FENCE not in (line.strip() for line in lines[1:]):
        raise file.fault(1, f"A lesson begins with its title and the like between two lines “{FENCE}”.")
    end = next(i for i, line in enumerate(lines[1:], 1) if line.strip() == FENCE)
    head = _head(file, "\n".join(lines[1:end]))
    steps = tuple(_steps(file, lines, end + 1, head.get("model", SHIPPED)))
    if not 1 <= len(steps) <= MOST_STEPS:
        raise file.fault(
            end + 1, f"A lesson has 1 to {MOST_STEPS} steps, each under a line “## Title”; here {len(steps)}."
        )
    sources = tuple((source["name"], source["link"]) for source in head.get("sources", []))
    model = head.get("model", SHIPPED)
    return Lesson(Path(name).stem, head["title"], head["about"], head["minutes"], sources, steps, model)


def _head(file: _File, text: str) -> Mapping[str, Any]:
    data = file.data(text, 2)
    kinds = {"title": str, "about": str, "minutes": int, "sources": list, "model": str}
    try:
        taken(data, kinds, ["title", "about", "minutes"])
    except Refusal as problem:
        raise file.fault(_line_of(text, 2, str(problem)), str(problem)) from None
    for source in data.get("sources", []):
        links = isinstance(source, dict) and set(source) == {"name", "link"}
        if not links or not str(source["link"]).startswith("https://"):
            raise file.fault(
                _line_of(text, 2, "“sources”"), "A source needs a “name” and a “link” that begins with https://."
            )
    return data


def _steps(file: _File, lines: list[str], first: int, model: str) -> Iterator[Step]:
    """`first`: index of the line after the head."""
    body = "\n" * first + "\n".join(lines[first:])  # so that the parser's lines are those of the file
    tokens = MarkdownIt("commonmark").parse(body)
    heads = [
        (t.map[0], tokens[i + 1].content) for i, t in enumerate(tokens) if t.type == "heading_open" and t.tag == "h2"
    ]
    fences = [t for t in tokens if t.type == "fence" and t.level == 0]
    opening = heads[0][0] if heads else len(lines)
    for i, line in enumerate(lines[first:opening], first):
        if line.strip():
            raise file.fault(i + 1, "A lesson's text stands under a line “## Title”.")
    ends = [*(begin for begin, _ in heads[1:]), len(lines)][: len(heads)]
    for (begin, title), end in zip(heads, ends, strict=True):
        blocks = {}
        for fence in fences:
            if begin < fence.map[0] < end:
                if (kind := fence.info.strip()) not in BLOCKS:
                    raise file.fault(fence.map[0] + 1, f"A block is called “ask” or “run”, not “{kind[:20]}”.")
                if kind in blocks:
                    raise file.fault(fence.map[0] + 1, f"A step has one block “{kind}”; this is the second.")
                blocks[kind] = fence
        yield _step(file, lines, begin, end, title, blocks, model)


def _step(file: _File, lines: list[str], begin: int, end: int, title: str, blocks: dict[str, Any], model: str) -> Step:
    if "ask" in blocks and "run" not in blocks:
        raise file.fault(blocks["ask"].map[0] + 1, "A question needs a “run” that decides it.")
    if set(blocks) == set(BLOCKS) and blocks["ask"].map[0] > blocks["run"].map[0]:
        raise file.fault(blocks["ask"].map[0] + 1, "The question comes before the run.")
    opens = min((block.map[0] for block in blocks.values()), default=end)
    closes = max((block.map[1] for block in blocks.values()), default=end)
    if len(blocks) == 2 and any(line.strip() for line in lines[blocks["ask"].map[1] : blocks["run"].map[0]]):
        raise file.fault(blocks["ask"].map[1] + 1, "Between the question and the run there is no text.")
    run = _run(file, blocks["run"], model) if "run" in blocks else None
    ask = _ask(file, blocks["ask"], run) if "ask" in blocks else None
    before, after = "\n".join(lines[begin + 1 : opens]), "\n".join(lines[closes:end])
    step = Step(title, before.strip("\n"), ask, run, after.strip("\n"), begin + 1, closes + 1)
    measures = run.measures if run else ()
    for text, line, measured in ((title, begin, ()), (before, begin + 1, ()), (after, closes, measures)):
        for offset, sentence in numbers.faults(text, measured, bool(run)):
            raise file.fault(line + offset + 1, sentence)
    return step


def _run(file: _File, fence: Any, model: str) -> Run:
    line = fence.map[0] + 2
    data = file.data(fence.content, line)
    if len(data) != 1 or next(iter(data)) not in KINDS:
        raise file.fault(line, f"A run is one of {', '.join(KINDS)}.")
    ((kind, asked),) = data.items()
    try:
        if not isinstance(asked, dict):
            raise Refusal(f"“{kind}” needs lines such as “name: value”.")
        return KINDS[kind](asked, model)
    except Refusal as problem:
        raise file.fault(_line_of(fence.content, line, str(problem)), str(problem)) from None


def _ask(file: _File, fence: Any, run: Run) -> Ask:
    line = fence.map[0] + 2
    data = file.data(fence.content, line)
    kinds = [kind for kind in ASKS if kind in data]
    if len(kinds) != 1:
        raise file.fault(line, f"A question is one of {', '.join(ASKS)}, with the measure that decides it.")
    known = {kinds[0]: str, "question": str, "look": str, "expect": (str, int)}
    known |= {"pick": {"want": str}, "number": {"options": list, "cell": (str, int)}}.get(kinds[0], {})
    try:
        taken(data, known, [kinds[0], "question", "look", *(["options"] if kinds[0] == "number" else [])])
        return _checked(kinds[0], data, run, line)
    except Refusal as problem:
        raise file.fault(_line_of(fence.content, line, str(problem)), str(problem)) from None


def _checked(kind: str, data: Mapping[str, Any], run: Run, line: int) -> Ask:
    measure, expect = data[kind], data.get("expect", "")
    if measure not in run.measures:
        raise Refusal(f"“{measure}” is not measured in this run; measured: {', '.join(run.measures)}.")
    if kind == "trend" and expect not in ("", *TRENDS):
        raise Refusal(f"“expect” must be one of {', '.join(TRENDS)}.")
    if kind in ("order", "curve", "number") and expect != "":
        raise Refusal("“expect” belongs to trend and pick only.")
    want, options = data.get("want", "highest"), data.get("options", [])
    if want not in ("highest", "lowest"):
        raise Refusal("“want” must be highest or lowest.")
    if kind == "number" and (
        not 2 <= len(options) <= 6
        or not all(isinstance(o, int | float) and not isinstance(o, bool) and o >= 0 for o in options)
    ):
        raise Refusal("“options” needs 2 to 6 numbers, none below 0.")
    cell = str(data.get("cell", "last"))
    if not re.fullmatch(numbers.CELL, cell):
        raise Refusal("“cell” must be first, last or a cell counted from 1.")
    for text in (data["question"], data["look"]):
        for _, sentence in numbers.faults(text, (), True):
            raise Refusal(sentence)
    numbers_ = tuple(float(option) for option in options)
    return Ask(kind, measure, data["question"], data["look"], want, numbers_, cell, str(expect), line)


def _line_of(text: str, first: int, sentence: str) -> int:
    """The line of a block in which the key or value stands that a sentence is about; else its first line.

    Sentences name what they are about in quotes, or, where a recipe refuses, begin with the field.
    """
    named = [*re.findall(r"“([^”]+)”", sentence), *re.findall(r"'([^']+)'", sentence), sentence.split(" ", 1)[0]]
    for name in named:
        for i, line in enumerate(text.splitlines()):
            if name in line:
                return first + i
    return first
