"""/inspect_prompt: everything between one prompt and its picture, for programs."""

from dataclasses import asdict
from typing import Any

import gradio as gr
from PIL import Image

from playground.engine import Engine, Result
from playground.export.png import cell_png
from playground.inside.drawings import channel_pictures, heat_map
from playground.inside.walk import LONGEST, Walk, parts, walk
from playground.models import Facts
from playground.models.anatomy import Anatomy
from playground.ui.shared.described import describe, recipe_in_words
from playground.ui.shared.endpoint import A_RECIPE, ENGINE, exemplary, register
from playground.ui.shared.files import FILES
from playground.ui.shared.html import png


def build(engine: Engine) -> None:
    """Registers the endpoint; it has no visible part."""

    def inspect_prompt(recipe: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Draw one picture and report every stage between its words and it: tokens, shapes, sizes and times.

        The report has words (ids, pieces, words, what was cut off, the limit), stages (shapes, parameters, bytes,
        dtype), U-Net blocks, calls and milliseconds of this run. One that would take more than {longest} seconds is
        refused.

        Parameters:
            recipe: {recipe}
        Returns:
            the report
            the PNG files embeddings, noise, latents (channels side by side) and picture, which carries the recipe
        """
        *_, last = walk(engine, engine.facts.recipe(recipe), bounded=True)
        anatomy = engine.anatomy(last.recipe.width, last.recipe.height)
        evaluations = engine.facts.evaluations(last.recipe)
        return _report(anatomy, last, evaluations), _files(last, engine.facts, evaluations)

    describe(inspect_prompt, recipe=recipe_in_words(engine.facts), longest=str(LONGEST))
    outputs = [gr.JSON(label="report", render=False), gr.Files(label="pictures", render=False)]
    asked = exemplary(gr.JSON(label="recipe", render=False), A_RECIPE)
    register(inspect_prompt, "inspect_prompt", [asked], outputs, **ENGINE)


def _report(anatomy: Anatomy, done: Walk, evaluations: int) -> dict[str, Any]:
    _, embedding_limit = heat_map(done.embeddings)
    return {
        "recipe": done.recipe.to_dict(),
        "digest": done.recipe.digest(),
        "words": done.words.to_dict(),
        "stages": [asdict(part) for part in parts(anatomy, done)],
        "unet_blocks": [asdict(block) for block in anatomy.unet_blocks],
        "unet_calls": done.of,
        "evaluations": evaluations,
        "milliseconds": done.milliseconds,
        "colour_limits": {
            "embeddings": embedding_limit,
            "noise": channel_pictures(done.noise)[1],
            "latents": channel_pictures(done.latents)[1],
        },
    }


def _files(done: Walk, facts: Facts, evaluations: int) -> list[str]:
    seconds = (done.milliseconds["unet"] + done.milliseconds["decoder"]) / 1000
    result = Result(done.picture, done.recipe, seconds, evaluations, x0=done.latents[None])
    return [
        FILES.path(png(heat_map(done.embeddings)[0]), "embeddings.png"),
        FILES.path(png(_strip(channel_pictures(done.noise)[0])), "noise.png"),
        FILES.path(png(_strip(channel_pictures(done.latents)[0])), "latents.png"),
        FILES.path(cell_png(result, facts), "picture.png"),
    ]


def _strip(channels: list[Image.Image]) -> Image.Image:
    """Grey pictures of one size, side by side"""
    width, height = channels[0].size
    strip = Image.new("L", (width * len(channels), height))
    for i, channel in enumerate(channels):
        strip.paste(channel, (i * width, 0))
    return strip
