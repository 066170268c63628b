"""What every measure is called, how its numbers are written, and what it means: one vocabulary for lessons, curves and
predictions."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    label: str  # under a picture
    meaning: str  # one sentence: what it is, and where it could be taken for more, what it is not
    written: str = "{:.1f}"  # a format, or "%" for shares
    noun: str = ""  # in a sentence: "which has the larger …"; the label, where that is one
    reference: int | None = None  # the cell that the others are held against, or that has none: no answer to a question
    title: str = ""  # above a curve or a column; the noun, where that is one
    unit: str = ""  # under a picture, where the label does not say it

    @property
    def spoken(self) -> str:
        return self.noun or self.label

    @property
    def name(self) -> str:
        return self.title or self.spoken[0].upper() + self.spoken[1:]


EVEN_EDGE = 1 - (1 - 2 / 8) ** 2  # the area within an eighth of a side from the edge
GREY = "grey levels"
GREYS = f"in {GREY} of 0 to 255"
MEASURES: Mapping[str, Measure] = {
    "fit": Measure(
        "fit",
        "Cosine of picture and prompt in the model's own CLIP towers, −1 to 1: a model's opinion, to be compared for "
        "one prompt only, and no judgement of beauty.",
        "{:.3f}",
        noun="fit to the prompt",
    ),
    "saturation": Measure(
        "saturation",
        "How pure the colours are: 0 is grey, 1 (100 %) has no white or grey in it. Not whether they are too strong.",
        "%",
    ),
    "clipped": Measure(
        "clipped",
        "Share of pixels with a channel at its very end, where detail is lost. A pure colour that was asked for counts "
        "as well.",
        "%",
        noun="share of clipped pixels",
        title="Clipped pixels",
    ),
    "sharpness": Measure(
        "fine structure",
        "Each pixel's differences from its four neighbours, added up (the Laplacian), and of that the spread over the "
        "picture, in grey levels. Noise counts as structure too.",
        noun="amount of fine structure",
        title="Fine structure",
        unit=GREY,
    ),
    "diversity": Measure(
        "between seeds",
        "Mean difference between the seeds of one cell, contrast taken out: 0 is equal, 1.41 unrelated. A thing that "
        "only moved counts as different.",
        "{:.2f}",
        noun="difference between its seeds",
        title="Diversity over seeds",
    ),
    "distance": Measure(
        "from the first",
        f"Mean difference to the first picture, {GREYS}: how much changed, not whether it became better.",
        noun="difference from the first picture",
        title="Distance to the first",
        reference=0,
        unit=GREY,
    ),
    "distance_to_last": Measure(
        "from the last",
        f"Mean difference to the last picture, {GREYS}.",
        noun="difference from the last picture",
        reference=-1,
        unit=GREY,
    ),
    "change_left": Measure(  # the same, asked of all of them: the last can be the first that stays
        "change that is left", f"Mean difference to the last picture, {GREYS}.", noun="change that is left"
    ),
    "apart": Measure(
        "from the others",
        f"Mean difference to all the other pictures, {GREYS}.",
        noun="mean difference from the other pictures",
        unit=GREY,
    ),
    "areas": Measure(
        "separate areas",
        "Connected areas that differ from the background; things that touch count as one.",
        "{:.0f}",
        noun="number of separate areas",
    ),
    "seconds": Measure(
        "seconds",
        "A picture's share of the batched work when it was drawn, on this machine.",
        "{:.2f}",
        noun="time in seconds",
        title="Seconds",
    ),
    "evaluations": Measure(
        "evaluations",
        "Passes of the network that a picture takes alone: comparable between machines.",
        "{:,.0f}",
        noun="number of network passes",
        title="Evaluations",
    ),
    "signal": Measure(
        "picture",
        "Amplitude of the picture in xₜ, measured in its pixels; √ᾱ by the formula.",
        "{:.3f}",
        noun="amount of picture left in xₜ",
    ),
    "noise": Measure(
        "noise",
        "Amplitude of the noise in xₜ, measured in its pixels; √(1−ᾱ) by the formula.",
        "{:.3f}",
        noun="amount of noise in xₜ",
    ),
    "balance": Measure(
        "noise over picture",
        "Square of the noise's amplitude over that of the picture's, (1−ᾱ)/ᾱ by the formula: 1 where the two factors "
        "are equal.",
        "{:.2f}",
        noun="noise over picture, squared",
    ),
    "steps": Measure(
        "steps", "Steps that the forward process took to get there.", "{:,.0f}", noun="number of forward steps"
    ),
    "loss": Measure(
        "loss", "L, the mean square of ε − ε_θ; a network that answers 0 has about 1.", "{:.3f}", noun="loss L"
    ),
    "edge": Measure(
        "at the edge",
        f"Share of a word's attention in the outermost eighth on each side; spread evenly it is {EVEN_EDGE:.0%}.",
        "%",
        noun="share of attention at the edge",
        reference=-1,  # the picture itself
    ),
    "values": Measure("numbers", "Numbers that it consists of.", "{:,.0f}", noun="count of numbers"),
    "shrinkage": Measure(
        "pixel numbers for one",
        "How many of the picture's numbers there are for each number here.",
        "{:.0f}",
        noun="number of pixel values for each of its numbers",
    ),
}


def written(measure: str, value: float | None) -> str:
    """0.123 of "clipped" -> "12 %" """
    if value is None:
        return "–"
    if MEASURES[measure].written == "%":
        percent = 100 * value
        return f"{percent:.1f}\u00a0%" if 0 < percent < 1 else f"{percent:.0f}\u00a0%"
    return MEASURES[measure].written.format(value + 0.0)


def noted(measure: str, value: float | None) -> str:
    """As it stands under a picture: "from the first: 19.9 grey levels"; nothing where nothing was measured."""
    if value is None:
        return ""
    return f"{MEASURES[measure].label}: {written(measure, value)} {MEASURES[measure].unit}".rstrip()
