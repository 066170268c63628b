"""/denoise for programs: a recipe as JSON in; x̂₀ of every step, the final picture and each step's numbers out."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from playground.engine import Engine
from playground.export.png import cell_png
from playground.inside.film import LONGEST, Ending, check, check_time, film
from playground.inside.guidance import numbers, taken_apart
from playground.recipe import Recipe
from playground.ui.shared.described import describe, recipe_in_words
from playground.ui.shared.endpoint import A_RECIPE, ENGINE, exemplary, register
from playground.ui.shared.files import FILES
from playground.ui.shared.html import png


def build(engine: Engine) -> None:
    """Register `/denoise`; it has no visible part."""

    def denoise(recipe: dict[str, Any]) -> Iterator[tuple[list[str], dict[str, Any]]]:
        """Draw one picture and show how it comes out of the noise, step by step.

        Of runs with more than 60 network calls every n-th is kept. Each step has k (calls made before it), t, sigma,
        log_snr, step_sigma, norm_cond, norm_uncond, norm_difference, norm_eps, cosine and file; null for what is
        infinite. sigma is noise over signal; of models taught flow matching it is the noise, and the signal is
        1 − sigma. "unconditional" is "used", or "shown only" where the run has no guidance and the unconditional pass
        was made for its numbers alone. A run that would take more than {longest} seconds is refused.

        Parameters:
            recipe: {recipe}
        Returns:
            PNG files: x̂₀, the picture that the model expects, before each step, then the finished picture
            an object with recipe, digest, unconditional, steps and end
        """
        checked = engine.facts.recipe(recipe)
        check(engine, [checked])
        check_time(engine, [checked])
        yield from _shots(engine, checked)

    describe(denoise, recipe=recipe_in_words(engine.facts), longest=str(LONGEST))
    outputs = [gr.Files(label="pictures", render=False), gr.JSON(label="steps", render=False)]
    asked = exemplary(gr.JSON(label="recipe", render=False), A_RECIPE)
    register(denoise, "denoise", [asked], outputs, **ENGINE)


def _shots(engine: Engine, recipe: Recipe) -> Iterator[tuple[list[str], dict[str, Any]]]:
    files: list[str] = []
    told: dict[str, Any] = {
        "recipe": recipe.to_dict(),
        "digest": recipe.digest(),
        "unconditional": "used" if engine.facts.guided(recipe) else "shown only",
        "steps": [],
        "end": None,
    }
    for shot in film(engine, recipe):
        if isinstance(shot, Ending):
            name = f"picture-{recipe.digest()[:12]}.png"
            files.append(FILES.path(cell_png(shot.result, engine.facts), name))
            told["end"] = {"k": shot.of, "sigma": shot.level.sigma, "file": name}
        elif shot.pictures:
            name = f"x0-{shot.k:04d}.png"
            files.append(FILES.path(png(shot.pictures["x0"]), name))
            told["steps"].append({**numbers(shot, taken_apart(shot)), "file": name})
        else:
            continue
        yield files, told
