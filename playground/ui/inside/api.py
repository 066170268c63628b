"""/inspect_prompt: everything between one prompt and its picture, for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr
from PIL import Image

from playground.engine import Engine, Result
from playground.inside.autoencoder import channel_pictures
from playground.inside.pipeline import Walk, heat_map, parts, unet_blocks, walk
from playground.recipe import Recipe
from playground.store import to_png
from playground.ui.shared.endpoint import ENGINE, register
from playground.ui.shared.files import FILES
from playground.ui.shared.html import png


def build(engine: Engine) -> None:
    """Registers the endpoint; it has no visible part."""

    def inspect_prompt(recipe: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Walk one recipe from its words to its picture.

        recipe: a JSON object with fields such as prompt, seed, num_inference_steps. Returns tokens (ids, pieces, words,
        what was cut off, the limit), stages (shapes, parameters, bytes, dtype), U-Net blocks and milliseconds of this
        run; and the files embeddings.png, noise.png, latents.png (channels side by side) and picture.png, which
        carries the recipe.
        """
        *_, last = walk(engine, Recipe.from_dict(recipe))
        return _report(engine, last), _files(last)

    outputs = [gr.JSON(label="report", render=False), gr.Files(label="pictures", render=False)]
    register(inspect_prompt, "inspect_prompt", [gr.JSON(label="recipe", render=False)], outputs, **ENGINE)


def _report(engine: Engine, done: Walk) -> dict[str, Any]:
    height, width = done.noise.shape[-2:]
    _, embedding_limit = heat_map(done.embeddings)
    return {
        "recipe": done.recipe.to_dict(),
        "digest": done.recipe.digest(),
        "words": done.words.to_dict(),
        "stages": [asdict(part) for part in parts(engine.model, done)],
        "unet_blocks": [asdict(block) for block in unet_blocks(engine.model, height, width)],
        "unet_calls": done.of,
        "evaluations": done.recipe.evaluations,
        "milliseconds": done.milliseconds,
        "colour_limits": {
            "embeddings": embedding_limit,
            "noise": channel_pictures(done.noise)[1],
            "latents": channel_pictures(done.latents)[1],
        },
    }


def _files(done: Walk) -> list[str]:
    seconds = (done.milliseconds["unet"] + done.milliseconds["decoder"]) / 1000
    result = Result(done.picture, done.recipe, seconds, done.recipe.evaluations, x0=done.latents[None])
    return [
        FILES.path(png(heat_map(done.embeddings)[0]), "embeddings.png"),
        FILES.path(png(_strip(channel_pictures(done.noise)[0])), "noise.png"),
        FILES.path(png(_strip(channel_pictures(done.latents)[0])), "latents.png"),
        FILES.path(to_png(result), "picture.png"),
    ]


def _strip(channels: list[Image.Image]) -> Image.Image:
    """Grey pictures of one size, side by side"""
    width, height = channels[0].size
    strip = Image.new("L", (width * len(channels), height))
    for i, channel in enumerate(channels):
        strip.paste(channel, (i * width, 0))
    return strip
