"""Numbers in a lesson's text: none is typed, all are filled in from the model's facts or from what the run measured.

{T}                        a fact, see FACTS
{label last}               what stands above a cell: first, last, a number counted from 1, or highest or lowest
{label highest clipped}    … of a measure
{clipped last}             what was measured of a cell
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from playground import noise
from playground.measure.named import MEASURES, written
from playground.models import Facts
from playground.schedule import alphas_cumprod

PLACEHOLDER = re.compile(r"\{([^{}\n]*)\}")
CELL = r"first|last|[1-9]"
EXTREME = r"highest|lowest"
NOT_TEXT = re.compile(r"`[^`]*`|\]\([^)]*\)|<[^>]*>")  # code, and where links go
TYPED = re.compile(r"(?<![\w₀-₉])\d[\d,.]*")  # "128", not the digit of a name such as "FP16"

FACTS = ("T", "half", "signal_at_end", "parameters", "side", "latent_side", "channels", "tokens", "precision", "model")


def facts_of(facts: Facts) -> dict[str, str]:
    """The facts by name, as they are written."""
    alphas = alphas_cumprod(facts.schedule)
    _, channels, rows, _ = facts.latent_shape(facts.side, facts.side)
    return {
        "T": f"{facts.total_timesteps:,}",
        "half": str(noise.half_signal_power("scaled_linear")),
        "signal_at_end": f"{float(alphas[-1]) ** 0.5:.3f}",
        "parameters": f"{facts.parameters / 1e6:.1f} million",
        "side": str(facts.side),
        "latent_side": str(rows),
        "channels": str(channels),
        "tokens": str(facts.tokens),
        "precision": facts.precision,
        "model": facts.name.capitalize() if facts.name == "pocket" else facts.name,
    }


def faults(text: str, measures: Sequence[str], labels: bool) -> Iterator[tuple[int, str]]:
    """(line counted from 0, sentence) for every placeholder that cannot be filled and every number that is typed."""
    for i, line in enumerate(text.splitlines()):
        for inside in PLACEHOLDER.findall(line):
            if problem := _fault(inside, measures, labels):
                yield i, problem
        plain = NOT_TEXT.sub(" ", PLACEHOLDER.sub(" ", line))
        if found := TYPED.search(re.sub(r"^\s*\d+\. ", "", plain)):  # a list's numbers are no claim
            yield i, f"The number {found[0].rstrip('.,')} is typed; a placeholder such as {{T}} keeps it true."


def filled(
    text: str, facts: Mapping[str, str], labels: Sequence[str], values: Mapping[str, Sequence[float | None]]
) -> str:
    """The text with its placeholders replaced; `values` by measure. What was not measured is a dash."""

    def value(match: re.Match) -> str:
        words = match[1].split()
        if words[0] in facts and len(words) == 1:
            return facts[words[0]]
        if words[0] == "label":
            if len(words) == 3:
                return labels[extreme(values[words[2]], words[1])] if words[2] in values else "–"
            at = place(words[1], len(labels))
            return labels[at] if at is not None else "–"
        found = values.get(words[0])
        if found is None:
            return "–"
        at = extreme(found, words[1]) if words[1] in EXTREME.split("|") else place(words[1], len(found))
        return written(words[0], None if at is None else found[at])

    return PLACEHOLDER.sub(value, text)


def place(cell: str, n: int) -> int | None:
    """ "first", "last" or a number counted from 1 -> index; None where there is no such cell."""
    at = {"first": 0, "last": n - 1}.get(cell, int(cell) - 1 if cell.isdigit() else -1)
    return at if 0 <= at < n else None


def extreme(values: Sequence[float | None], want: str) -> int:
    """Index of the highest or the lowest value."""
    there = [(value, i) for i, value in enumerate(values) if value is not None]
    return (max if want == "highest" else min)(there)[1]


def _fault(inside: str, measures: Sequence[str], labels: bool) -> str:
    """A sentence, or nothing where the placeholder can be filled."""
    if inside in FACTS:
        return ""
    words = inside.split()
    if not words or words[0] not in ("label", *MEASURES):
        return f"{{{inside}}} is no number known here; facts: {', '.join(FACTS)}."
    if words[0] == "label" and labels:
        if len(words) == 2 and re.fullmatch(CELL, words[1]):
            return ""
        if len(words) == 3 and re.fullmatch(EXTREME, words[1]) and words[2] in measures:
            return ""
    elif words[0] in measures and len(words) == 2 and re.fullmatch(f"{CELL}|{EXTREME}", words[1]):
        return ""
    if not measures and words[0] != "label":
        return f"{{{inside}}} is known only after the run."
    return f"{{{inside}}} is not measured in this run; measured: {', '.join(measures)}."
