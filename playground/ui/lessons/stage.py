"""The right side of a lesson as HTML: the frames, empty until there is an answer, and what the run says to it."""

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from playground.lessons.answers import TREND_WORDS, Verdict, as_expected, judge
from playground.lessons.lesson import Ask, Lesson, Step
from playground.lessons.runs.contract import Outcome
from playground.measure.named import MEASURES, written
from playground.ui.lessons.rail import markdown, sources
from playground.ui.shared.files import FILES
from playground.ui.shared.html import data_url, escaped, png

MOST_COLUMNS = 4
CHART = (360, 110)  # units of a drawn curve


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
    notes = [f"{MEASURES[measure].label} {written(measure, v)}" if v is not None else "" for v in values]
    told = feedback(step.ask, answer, labels, values) if step.ask else ""
    return (
        f'{grid(labels, pictures, notes, "done")}<p class="dp-quiet dp-source">{escaped(source)}</p>{told}'
        f'<div class="dp-words dpl-after">{markdown(step.after, facts, labels, outcome.values)}</div>{sources(lesson)}'
    )


def feedback(ask: Ask, answer: Any, labels: Sequence[str], values: Sequence[float | None]) -> str:
    """What the run says to a checked answer."""
    usual = ""
    if as_expected(ask, values) is False:
        most = TREND_WORDS.get(ask.expect) or f"is {labels[int(ask.expect) - 1]}"
        usual = f"<p>This run is an exception: usually it {escaped(most)}.</p>"
    drawn = chart(answer, labels, values) if ask.kind == "curve" else ""
    return against(judge(ask, answer, labels, values), ask, usual + drawn)


def against(verdict: Verdict, ask: Ask, more: str = "") -> str:
    """What was measured against what was predicted, and `more` HTML below it."""
    head = "As you predicted." if verdict.right else "Not as you predicted."
    look = "" if verdict.right else f"<p>What to look at: {escaped(ask.look)}</p>"
    state = "right" if verdict.right else "wrong"
    return (
        f'<div class="dp-feedback" role="status" data-verdict="{state}">'
        f"<p><b>{head}</b> {escaped(verdict.sentence)}</p>{look}{more}</div>"
    )


def chart(drawn: Sequence[float], labels: Sequence[str], values: Sequence[float | None]) -> str:
    """What was drawn and what was measured, each from its lowest to its highest value."""
    width, height = CHART
    lines = ""
    for name, heights in (("drawn", drawn), ("measured", [value or 0.0 for value in values])):
        low, high = min(heights), max(heights)
        span = (high - low) or 1.0
        points = [
            f"{width * (i + 0.5) / len(heights):.1f},{height - 8 - (height - 16) * (h - low) / span:.1f}"
            for i, h in enumerate(heights)
        ]
        lines += f'<polyline class="dp-{name}" points="{" ".join(points)}"/>'
    alt = "Your curve, dashed, and the measured one, each from its lowest to its highest value"
    return (
        f'<figure class="dp-chart"><svg viewBox="0 0 {width} {height}" role="img" aria-label="{alt}">{lines}</svg>'
        "<figcaption>Dashed: yours. Line: measured in these pictures. Each from its lowest to its highest value."
        "</figcaption></figure>"
    )


def grid(
    labels: Sequence[str],
    pictures: Sequence[str],
    notes: Sequence[str],
    state: str,
    shares: Mapping[int, float] | None = None,
    tiles: tuple[int, int] = (1, 1),
) -> str:
    """Frames with a label above and a note under each; `state` is that of all of them."""
    cells = ""
    for i, (label, picture, note) in enumerate(zip(labels, pictures, notes, strict=True)):
        alt = f"{label}: {note}" if note else label
        image = f'<img src="{escaped(picture)}" alt="{escaped(alt)}">' if picture else ""
        share = (shares or {}).get(i, 0.0)
        cells += (
            f'<figure class="dp-cell" data-state="{state}" style="--done:{share:.3f}"><figcaption>{escaped(label)}'
            f'</figcaption><div class="dp-picture dp-place">{image}</div><div class="dp-bar"></div>'
            f'<p class="dp-note">{escaped(note)}</p></figure>'
        )
    columns = len(labels) if len(labels) <= MOST_COLUMNS else -(-len(labels) // 2)
    return f'<div class="dp-grid" style="--columns:{columns};--frame:{tiles[0]}/{tiles[1]}">{cells}</div>'
