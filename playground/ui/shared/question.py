"""A question about pictures to come, as a form: in a lesson, in a class, and before a run in Compare."""

from collections.abc import Sequence
from pathlib import Path

from playground.lessons.answers import TREND_WORDS, choices
from playground.lessons.lesson import Ask
from playground.measure.named import MEASURES
from playground.ui.shared.html import escaped

FORM = (Path(__file__).parent / "question.js").read_text("utf-8")  # whose functions the script of each page calls
START_HEIGHT = 0  # of every bar of a curve that is still to be drawn


def question_form(ask: Ask, labels: Sequence[str]) -> str:
    """The question with its fields; question.js reads them."""
    kinds = {"pick": _pick, "order": _order, "curve": _curve, "trend": _trend, "number": _number}
    measure = MEASURES[ask.measure]
    decided = escaped(f"Decided by “{measure.label}” under the pictures. {measure.meaning}")
    return (
        f'<fieldset class="dp-{ask.kind}"><legend>{escaped(ask.question)}</legend>{kinds[ask.kind](ask, labels)}'
        f'</fieldset><p class="dp-quiet dp-meaning">{decided}</p>'
    )


def _radio(value: str | int, label: str) -> str:
    return f'<label><input type="radio" name="dp-answer" value="{value}"> {escaped(label)}</label>'


def _pick(ask: Ask, labels: Sequence[str]) -> str:
    return "".join(_radio(i, labels[i]) for i in choices(ask, len(labels)))


def _trend(ask: Ask, labels: Sequence[str]) -> str:
    return "".join(_radio(key, f"It {words}.") for key, words in TREND_WORDS.items())


def _number(ask: Ask, labels: Sequence[str]) -> str:
    return "".join(_radio(i, f"{option:,g}") for i, option in enumerate(ask.options))


def _order(ask: Ask, labels: Sequence[str]) -> str:
    buttons = "".join(
        f'<button type="button" class="dp-button" data-cell="{i}" aria-pressed="false"><b></b> {escaped(label)}'
        "</button>"
        for i, label in enumerate(labels)
    )
    return f'<p class="dp-quiet">Press them from the lowest to the highest; press again to take one back.</p>{buttons}'


def _curve(ask: Ask, labels: Sequence[str]) -> str:
    bars = "".join(
        f'<label><input type="range" min="0" max="100" value="{START_HEIGHT}" data-cell="{i}" '
        f'aria-label="Height at {escaped(label)}"><span>{escaped(label)}</span></label>'
        for i, label in enumerate(labels)
    )
    help = "Pull each bar up, or use the arrow keys. Only higher and lower count."
    return f'<p class="dp-quiet">{help}</p><div>{bars}</div>'
