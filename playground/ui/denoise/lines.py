"""A film on its way to the browser: one line of JSON per shot, so that every picture is sent once.

The stage's value is a text that only grows, of which Gradio sends the growth. First line: what is known before the
first network call (noise levels, labels). Then one line per shot that has pictures, and one for each run's ending.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

from PIL import Image

from playground.export.animation import sheet, to_gif, to_mp4, to_webp
from playground.export.bundle import stem
from playground.inside.film import DIFFERENCE_GAIN, Ending, Shot, drawn_every
from playground.inside.guidance import numbers, taken_apart
from playground.labels import FIELD_NAMES, common_of, inside
from playground.models import Facts
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.schedule import Config, levels, prediction_type, steps_taken
from playground.ui.denoise.form import value_words
from playground.ui.shared.html import data_url

RULER_STEPS = 60  # runs of more steps are drawn without the shorter runs beside them
NOISE = ("eps", "eps_cond", "eps_uncond", "difference")  # a latent a pixel: kept exactly


class Lines:
    """Takes the shots of one or two runs; gives the growing text for the stage, and the files at the end."""

    def __init__(self, facts: Facts, recipes: Sequence[Recipe], varied: str | None) -> None:
        self._facts, self._schedule = facts, facts.schedule
        self.recipes, self._varied = recipes, varied
        self._levels = [levels(recipe, facts.schedule) for recipe in recipes]
        self._shown: list[dict[int, tuple[Image.Image, Image.Image]]] = [{} for _ in recipes]  # k -> x_t, x̂₀
        head = {
            "gain": DIFFERENCE_GAIN,
            "T": facts.total_timesteps,
            "vae": not facts.quick_previews,
            "predicts": prediction_type(facts.schedule),
            "runs": [self._head(i) for i in range(len(recipes))],
        }
        self.text = json.dumps(head) + "\n"

    def _head(self, i: int) -> dict[str, Any]:
        recipe, stands = self.recipes[i], self._levels[i]
        sampler = SAMPLERS[recipe.sampler]
        of, scale = len(stands) - 1, self._facts.cfg or "guidance_scale"
        return {
            "title": self._title(i),
            "of": of,
            "every": drawn_every(of),
            "steps": recipe.num_inference_steps,
            "sampler": sampler.label,
            "unit": "step" if of == recipe.num_inference_steps else "call",
            "guided": self._facts.guided(recipe),
            "negative": bool(recipe.negative_prompt),
            "w": getattr(recipe, scale),
            "scale": inside(FIELD_NAMES[scale]),
            "told": recipe.guidance_scale if self._facts.guidance == "embedded" else None,
            "rescale": recipe.guidance_rescale,
            "width": recipe.width,
            "height": recipe.height,
            "t": [level.t for level in stands],
            "signal": [level.signal for level in stands],
            "noise": [level.noise for level in stands],
            # JSON knows no infinity; there is one where no signal is left
            "sigma": [level.sigma if math.isfinite(level.sigma) else None for level in stands],
            "taken": [steps_taken(recipe, k) for k in range(of + 1)],
        }

    def take(self, i: int, shot: Shot | Ending) -> bool:
        """Add a shot of run i; False for one without pictures."""
        if isinstance(shot, Ending):
            self._shown[i][shot.of] = (shot.result.image, shot.result.image)
            # the shorter runs of the ruler come last: some samplers take long to lay out a schedule
            own = own_runs(shot.result.recipe, self._schedule)
            line = {"run": i, "k": shot.of, "x0": data_url(shot.result.image), "own": own}
        elif not shot.pictures:
            return False
        else:
            shown, parts = shot.pictures, taken_apart(shot)
            self._shown[i][shot.k] = (shown["x_t"], shown["x0"])
            urls = {name: data_url(picture, exact=name in NOISE) for name, picture in shown.items()}
            line = {"run": i, **numbers(shot, parts), **urls, "largest": vars(parts.largest)}
        self.text += json.dumps(line) + "\n"
        return True

    def files(self) -> dict[str, bytes]:
        """File name -> the whole film: x_t and x̂₀ of each run, runs below each other, matched by step share."""
        longest = max(range(len(self.recipes)), key=lambda i: len(self._shown[i]))
        sheets = []
        for k in self._shown[longest]:
            share = k / (len(self._levels[longest]) - 1)
            rows = [self._row(i, share) for i in range(len(self.recipes))]
            sheets.append(sheet(rows, common_of(self.recipes, self._facts.honours)))
        name = "-beside-".join(map(stem, self.recipes)) + "-film"
        return {f"{name}.gif": to_gif(sheets), f"{name}.webp": to_webp(sheets), f"{name}.mp4": to_mp4(sheets)}

    def _row(self, i: int, share: float) -> list[tuple[str, Image.Image]]:
        of, shown = len(self._levels[i]) - 1, self._shown[i]
        k = max((k for k in shown if k <= share * of + 1e-9), default=min(shown))
        t = self._levels[i][k].t
        where = "the finished picture" if t is None else f"xₜ, {k} of {of}, t = {t:.0f}"
        x_t, x0 = shown[k]
        title = f"{'AB'[i]} · {self._title(i)}" if self._varied else ""
        said = "decoded by the VAE" if t is None else "predicted x̂₀"
        return [(where, x_t), (" · ".join(filter(None, (title, said))), x0)]

    def _title(self, i: int) -> str:
        """What run i has of what is varied; empty for a run alone."""
        return value_words(self._varied, getattr(self.recipes[i], self._varied)) if self._varied else ""


def own_runs(recipe: Recipe, schedule: Config) -> list[list[float] | None]:
    """At n, the timesteps of this recipe's own run with n steps, 0 … its own number of them.

    None where the sampler cannot run with so few; an empty list where the recipe has more than RULER_STEPS steps.
    """
    if recipe.num_inference_steps > RULER_STEPS:
        return []
    runs: list[list[float] | None] = [None]
    for n in range(1, recipe.num_inference_steps + 1):
        try:
            shorter = levels(recipe.replace(num_inference_steps=n), schedule)
        except Refusal:
            shorter = ()
        runs.append([level.t for level in shorter[:-1]] or None)
    return runs
