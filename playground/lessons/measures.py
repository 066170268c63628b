"""What can be measured of a lesson's cells: how it is called, how its numbers are written, and what it means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from playground.measure.areas import areas
from playground.measure.clipped import clipped
from playground.measure.distance import distance
from playground.measure.diversity import diversity
from playground.measure.saturation import saturation
from playground.measure.sharpness import sharpness


@dataclass(frozen=True)
class Measure:
    label: str  # under a picture
    meaning: str  # one sentence
    written: str = "{:.1f}"  # a format, or "%" for shares
    noun: str = ""  # in a sentence: "which has the larger …"; the label, where that is one
    reference: int | None = None  # the cell that the others are held against, or that has none: no answer to a question

    @property
    def spoken(self) -> str:
        return self.noun or self.label


GREYS = "in grey levels of 0 to 255"
EVEN_EDGE = 1 - (1 - 2 / 8) ** 2  # the area within an eighth of a side from the edge
MEASURES: Mapping[str, Measure] = {
    "clipped": Measure(
        "clipped",
        "Share of pixels with a channel at its very end, where detail is lost.",
        "%",
        noun="share of clipped pixels",
    ),
    "saturation": Measure(
        "saturation", "How pure the colours are: 0 % is grey, 100 % has no white or grey in it.", "%"
    ),
    "sharpness": Measure(
        "fine structure",
        f"Spread of the differences between neighbouring pixels, {GREYS}.",
        noun="amount of fine structure",
    ),
    "distance": Measure(
        "from the first",
        f"Mean difference to the first picture, {GREYS}.",
        noun="difference from the first picture",
        reference=0,
    ),
    "distance_to_last": Measure(
        "from the last",
        f"Mean difference to the last picture, {GREYS}.",
        noun="difference from the last picture",
        reference=-1,
    ),
    "apart": Measure(
        "from the others",
        f"Mean difference to all the other pictures, {GREYS}.",
        noun="mean difference from the other pictures",
    ),
    "diversity": Measure(
        "between seeds",
        "Mean difference between the seeds of one cell, contrast taken out: 0 is equal, 1.41 unrelated.",
        "{:.2f}",
        noun="difference between its seeds",
    ),
    "areas": Measure(
        "separate areas",
        "Connected areas that differ from the background; things that touch count as one.",
        "{:.0f}",
        noun="number of separate areas",
    ),
    "evaluations": Measure(
        "evaluations", "Passes of the network that a picture takes.", "{:,.0f}", noun="number of network passes"
    ),
    "signal": Measure(
        "picture",
        "Amplitude of the picture in x_t, measured in its pixels; √ᾱ by the formula.",
        "{:.3f}",
        noun="amount of picture left in x_t",
    ),
    "noise": Measure(
        "noise",
        "Amplitude of the noise in x_t, measured in its pixels; √(1−ᾱ) by the formula.",
        "{:.3f}",
        noun="amount of noise in x_t",
    ),
    "balance": Measure(
        "noise over picture",
        "Power of the noise over power of the picture; 1 where they are equal.",
        "{:.2f}",
        noun="power of the noise over that of the picture",
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
OF_PICTURES = ("clipped", "saturation", "sharpness", "distance", "distance_to_last", "apart", "areas")
OF_SEEDS = ("diversity",)


def written(measure: str, value: float | None) -> str:
    """0.123 of "clipped" -> "12 %" """
    if value is None:
        return "–"
    if MEASURES[measure].written == "%":
        percent = 100 * value
        return f"{percent:.1f}\u00a0%" if 0 < percent < 1 else f"{percent:.0f}\u00a0%"
    return MEASURES[measure].written.format(value + 0.0)


def measured(cells: Sequence[Sequence[Image.Image]]) -> dict[str, tuple[float, ...]]:
    """Cells of one picture, or of one for each seed in the same order -> OF_PICTURES as means over the seeds, and with
    seeds OF_SEEDS. All pictures have one size."""
    arrays = [[np.asarray(picture.convert("RGB")) for picture in cell] for cell in cells]

    def between(a: int, b: int) -> float:
        return float(np.mean([distance(x, y) for x, y in zip(arrays[a], arrays[b], strict=True)]))

    n = range(len(arrays))
    own = {"clipped": clipped, "saturation": saturation, "sharpness": sharpness, "areas": areas}
    found = {name: tuple(float(np.mean([f(x) for x in cell])) for cell in arrays) for name, f in own.items()}
    found["distance"] = tuple(between(0, i) for i in n)
    found["distance_to_last"] = tuple(between(len(arrays) - 1, i) for i in n)
    if len(arrays) > 1:
        found["apart"] = tuple(float(np.mean([between(i, j) for j in n if j != i])) for i in n)
    if len(arrays[0]) > 1:
        found["diversity"] = tuple(diversity(cell) for cell in arrays)
    return found
