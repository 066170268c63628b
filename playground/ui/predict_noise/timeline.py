"""The timeline on which forward and reverse meet, and what a guess arrived at, as HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from playground.engine import Result
from playground.inside.prediction import apart
from playground.models import Facts
from playground.samplers import SAMPLERS
from playground.schedule import Plan
from playground.ui.predict_noise.rail import Subject
from playground.ui.predict_noise.stage import figure
from playground.ui.shared.html import data_url

MOST_COLUMNS = 8
EMPTY_RESULT = '<div class="dpp-result"></div>'


def columns(count: int) -> list[int]:
    """levels of a guess -> the indices shown as columns: first, last and an even choice between"""
    shown = min(count, MOST_COLUMNS)
    return sorted({round(i * (count - 1) / max(shown - 1, 1)) for i in range(shown)})


@dataclass(frozen=True)
class Timeline:
    """One column for each shown level, noise first; pictures by their URLs, empty where there is none yet."""

    times: Sequence[float]  # t
    forward: Sequence[str]  # x_t by the formula
    back: Mapping[int, str] = field(default_factory=dict)  # x_t by the network, by column
    predicted: Mapping[int, str] = field(default_factory=dict)  # x̂₀, by column

    def with_back(self, column: int, x_t: str, x0: str = "") -> "Timeline":
        """The same with what the network arrived at in one column."""
        return replace(self, back={**self.back, column: x_t}, predicted={**self.predicted, column: x0})

    def html(self, found: str = EMPTY_RESULT) -> str:
        """The picture at the left and noise at the right; `found` stands below."""
        reached = f"The guess stands at t = {self.times[max(self.back)]:.0f}." if self.back else "The guess begins."
        said = "The guess is finished." if found != EMPTY_RESULT else reached
        head = "".join(f'<th scope="col">t = {t:.0f}</th>' for t in reversed(self.times))
        places = range(len(self.times))
        return (
            '<div class="dpp-scroll" tabindex="0" role="group" aria-label="Forward and reverse on one timeline">'
            f'<table class="dpp-timeline"><thead><tr><th></th>{head}</tr></thead><tbody>'
            + self._row("Forward →", "noise added, by the formula", self.forward)
            + self._row("← Reverse", "noise removed, by the model", [self.back.get(i, "") for i in places])
            + self._row("x̂<sub>0</sub>", "predicted on the way", [self.predicted.get(i, "") for i in places])
            + f'</tbody></table></div><p class="dp-hidden dp-aloud">{said}</p>{found}'
        )

    def _row(self, label: str, says: str, sources: Sequence[str]) -> str:
        alt = says.capitalize()
        cells = "".join(
            f'<td><img src="{s}" alt="{alt}, t = {t:.0f}"></td>' if s else '<td><span class="dpp-blank"></span></td>'
            for t, s in zip(reversed(self.times), reversed(sources), strict=True)
        )
        return f"<tr><th scope='row'>{label}<span>{says}</span></th>{cells}</tr>"


def arrived(subject: Subject, result: Result, plan: Plan, seconds: float, facts: Facts) -> str:
    """the end of a guess -> the picture it reached beside the one that was noised, and what was measured"""
    recipe = result.recipe
    evaluations = len(plan.timesteps) * (2 if facts.guided(recipe) else 1)
    picture = data_url(result.image, exact=False)
    drawn = "The two pictures here are decoded by the VAE, the small ones by the quick preview."
    if not facts.quick_previews:
        drawn = "All pictures here are decoded by the VAE."
    return (
        '<div class="dpp-result">'
        + figure("x<sub>0</sub>", "what was noised", subject.source, "The picture")
        + figure("the guess", f"from t = {plan.start:.0f}", picture, "The picture the model arrived at")
        + f"<p>Started at t = {plan.start:.0f}, the nearest timestep at or below yours that this run visits, and took "
        f"{plan.steps} of {recipe.num_inference_steps} {SAMPLERS[recipe.sampler].label} steps: strength "
        f"{plan.strength:.3g} for diffusers' image-to-image pipeline, which makes the same picture when it is given "
        "these latents; given the picture, it first draws the VAE's latents at random with the seed, and makes "
        "another one. "
        f"{evaluations} {facts.network} evaluations, {seconds:.1f} s. Mean squared difference to x<sub>0</sub> in the "
        f"latents: {apart(result.x0, subject.x0):.3f}. {drawn}</p></div>"
    )
