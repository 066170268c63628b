"""/denoise for programs: a recipe as JSON in; x̂₀ of every step, the final picture and each step's numbers out."""

import io
from collections.abc import Iterator
from typing import Any

import gradio as gr

from playground.engine import Engine
from playground.inside.film import Ending, Frame, check, film, kept_every, pictures
from playground.inside.guidance import numbers
from playground.recipe import Recipe
from playground.store import to_png
from playground.ui.files import FILES


def build(engine: Engine) -> None:
    """Register `/denoise`; it has no visible part."""

    def denoise(recipe: dict[str, Any]) -> Iterator[tuple[list[str], dict[str, Any]]]:
        """One run, step by step: {"prompt": …, "sampler": …, …} -> PNG files and {"recipe", "steps", "end"}.

        Files: x̂₀ before each step (a quick preview), then the finished picture. Of runs with more than 60 network
        calls every n-th is kept. Each step has k (calls made before it), t, sigma, log_snr, step_sigma, norm_cond,
        norm_uncond, norm_difference, norm_eps, cosine and file. "unconditional": "used", or "shown only" where the
        run has no guidance and the unconditional pass was made for its numbers alone.
        """
        try:
            checked = Recipe.from_dict(recipe)
            check(engine, [checked])
            yield from _shots(engine, checked)
        except (ValueError, FloatingPointError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    with gr.Group(visible=False):
        recipe = gr.JSON(label="recipe")
        files = gr.Files(label="pictures")
        steps = gr.JSON(label="steps")
        gr.Button("Denoise for programs").click(
            denoise, recipe, [files, steps], api_name="denoise", concurrency_limit=8, concurrency_id="engine"
        )


def _shots(engine: Engine, recipe: Recipe) -> Iterator[tuple[list[str], dict[str, Any]]]:
    files: list[str] = []
    told: dict[str, Any] = {
        "recipe": recipe.to_dict(),
        "digest": recipe.digest(),
        "unconditional": "used" if recipe.guided else "shown only",
        "steps": [],
        "end": None,
    }
    for shot in film(engine, recipe):
        if isinstance(shot, Ending):
            name = f"picture-{recipe.digest()[:12]}.png"
            files.append(FILES.path(to_png(shot.result), name))
            told["end"] = {"k": shot.of, "sigma": shot.level.sigma, "file": name}
        elif shot.k % kept_every(shot.of) == 0:
            name = f"x0-{shot.k:04d}.png"
            files.append(FILES.path(_png(engine, shot), name))
            told["steps"].append({**numbers(shot), "file": name})
        else:
            continue
        yield files, told


def _png(engine: Engine, frame: Frame) -> bytes:
    buffer = io.BytesIO()
    pictures(engine, frame)["x0"].save(buffer, "PNG")
    return buffer.getvalue()
