"""A lesson as plain data: steps of text, a question, what to run for it, and what to say afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass

from playground.lessons.runs.contract import Run

SHIPPED = "pocket"  # the model that lessons are written for, unless they say another


@dataclass(frozen=True)
class Ask:
    """A question whose answer is measured in the run.

    pick: the cell with the highest (or lowest) value. order: all cells, from the lowest to the highest. curve: a height
    for every cell. trend: whether the last cell's value is above the first's, below, or about the same. number: which
    of the options is nearest to the value of one cell.
    """

    kind: str  # pick, order, curve, trend, number
    measure: str  # a key of `measure.named.MEASURES`
    question: str
    look: str  # what to look at, for whoever was wrong
    want: str = "highest"  # pick: highest or lowest
    options: tuple[float, ...] = ()  # number
    cell: str = "last"  # number: whose value it is
    expect: str = ""  # what it usually is: a trend, or the cell of a pick counted from 1; empty where nothing is said
    line: int = 0


@dataclass(frozen=True)
class Step:
    """Predict, run, look, explain. Without `ask` and `run` it is a page to read."""

    title: str
    before: str  # Markdown
    ask: Ask | None
    run: Run | None
    after: str  # Markdown with {placeholders}, shown with the pictures
    line: int
    after_line: int


@dataclass(frozen=True)
class Lesson:
    key: str  # the file's name without its ending
    title: str
    about: str  # one line
    minutes: int
    sources: Sequence[tuple[str, str]]  # (name, link)
    steps: tuple[Step, ...]
    model: str = SHIPPED
