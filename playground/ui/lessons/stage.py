"""The right side of a lesson as HTML: the frames, empty until there is an answer, and what the run says to it."""

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from playground.lessons.lesson import Lesson, Step
from playground.lessons.runs.contract import Outcome
from playground.measure.named import noted
from playground.ui.shared.feedback import feedback
from playground.ui.shared.files import FILES
from playground.ui.shared.frames import grid
from playground.ui.shared.html import data_url, escaped, png
from playground.ui.shared.prose import markdown, sources


def waiting(labels: Sequence[str], asks: bool, tiles: tuple[int, int] = (1, 1)) -> str:
    """Empty frames, in the shape of the cells to come."""
    says = "Answer first. Then the pictures are shown." if asks else "The pictures are shown when you run it."
    frames = grid(labels, [""] * len(labels), [""] * len(labels), "waiting", tiles=tiles)
    return f'{frames}<p class="dp-quiet">{says}</p>'


def running(
    labels: Sequence[str],
    pictures: Mapping[int, Image.Image],
    shares: Mapping[int, float],
    tiles: tuple[int, int],
    waits: str = "",
) -> str:
    """Frames that fill. `waits`: what the run waits for, as a sentence."""
    cells = range(len(labels))
    drawn = [data_url(pictures[i], exact=False) if i in pictures else "" for i in cells]
    says = escaped(f"Running … {waits}".rstrip())
    return f'{grid(labels, drawn, [""] * len(labels), "running", shares, tiles)}<p class="dp-quiet">{says}</p>'


def cannot(sentence: str) -> str:
    """Where this model cannot run the step."""
    return f'<p class="dp-quiet">This step cannot be run with this model. {escaped(sentence)}</p>'


def revealed(
    lesson: Lesson,
    step: Step,
    labels: Sequence[str],
    outcome: Outcome,
    answer: Any,
    source: str,
    facts: Mapping[str, str],
) -> str:
    """Pictures, what was measured in them against the answer, and the explanation. `source`: where they come from."""
    pictures = [FILES.url(png(picture), "cell.png") for picture in outcome.pictures]
    measure = step.ask.measure if step.ask else ""
    values = outcome.values.get(measure, (None,) * len(labels))
    notes = [noted(measure, v) for v in values]
    told = feedback(step.ask, answer, labels, values) if step.ask else ""
    return (
        f'{grid(labels, pictures, notes, "done")}<p class="dp-quiet dp-source">{escaped(source)}</p>{told}'
        f'<div class="dp-words dpl-after">{markdown(step.after, facts, labels, outcome.values)}</div>{sources(lesson)}'
    )
