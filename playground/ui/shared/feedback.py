"""What a run says to an answer: what was measured against what was predicted."""

from collections.abc import Sequence
from typing import Any

from playground.lessons.answers import TREND_WORDS, Verdict, as_expected, judge
from playground.lessons.lesson import Ask
from playground.ui.shared.html import escaped

CHART = (360, 110)  # units of a drawn curve


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
