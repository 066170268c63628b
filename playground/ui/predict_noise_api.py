"""/predict_noise for programs, and what it shares with the tab: a checked question, and its answer as files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import gradio as gr
from PIL import Image

from playground import pictures
from playground.engine import Engine
from playground.inside import latent_noise, prediction
from playground.recipe import Recipe
from playground.ui.files import FILES

GUIDANCE = 5.0


def checked(engine: Engine, prompt: Any, seed: Any) -> Recipe:
    """Checks both; ValueError with one sentence. DDIM, because its timesteps are whole and it adds no noise."""
    side = engine.model.default_side
    return Recipe(prompt=prompt, seed=seed, sampler="ddim", width=side, height=side, model=engine.model.name)


def decoded(engine: Engine, answer: prediction.Prediction) -> Iterator[Image.Image]:
    """-> x_t and x̂₀ by the VAE, in two short turns"""
    for latents in (answer.x_t, answer.x0):
        yield from latent_noise.decode(engine, latents)


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def build(engine: Engine) -> None:
    """Register `/predict_noise`; it has no visible part.

    Plain fields without bounds of their own: the functions say what is wrong.
    """

    def predict_noise(
        picture: str | None, prompt: str, t: int, seed: int, num_inference_steps: int | None = None
    ) -> tuple[list[str], dict[str, Any]]:
        """Adds the noise of timestep t to a picture's latents and lets the model name it.

        picture: PNG, JPEG, WebP, GIF, BMP or TIFF, at most 8 MB; its centre is used, at the model's size. prompt: what
        is in it. t: 0 to 999. seed: 0 to 4294967295. num_inference_steps: when given, the picture is also guessed from
        x_t, 1 to 100 steps for the whole way, DDIM, guidance_scale 5. Returns the files x_t, epsilon, predicted and x0
        (and guess), pictures decoded by the VAE and noise as its channels, and the numbers.
        """
        try:
            if picture is None:
                raise ValueError("picture is missing.")
            recipe = checked(engine, prompt, seed).replace(guidance_scale=GUIDANCE)
            planned = None
            if num_inference_steps is not None:
                recipe = recipe.replace(num_inference_steps=num_inference_steps)
                planned = prediction.plan(engine, recipe, t)
            x0 = latent_noise.encode_picture(engine, pictures.open_picture(picture, engine.model.default_side))
            return _answered(engine, x0, recipe, t, planned)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    with gr.Group(visible=False):
        inputs = [
            gr.File(label="picture", type="filepath"),
            gr.Textbox(label="prompt"),
            gr.Number(500, label="t"),
            gr.Number(0, label="seed"),
            gr.Number(None, label="num_inference_steps"),
        ]
        outputs = [gr.Files(label="pictures"), gr.JSON(label="numbers")]
        gr.Button("Predict").click(
            predict_noise, inputs, outputs, api_name="predict_noise", concurrency_limit=8, concurrency_id="engine"
        )


def _answered(
    engine: Engine, x0: Any, recipe: Recipe, t: int, planned: prediction.Plan | None
) -> tuple[list[str], dict[str, Any]]:
    """-> the endpoint's files and numbers"""
    answer, none = prediction.predict(engine, x0, [recipe.prompt, ""], t, recipe.seed)
    x_t, left = decoded(engine, answer)
    tiles = latent_noise.channel_tiles
    files = {"x_t": x_t, "epsilon": tiles(answer.epsilon), "predicted": tiles(answer.predicted), "x0": left}
    numbers: dict[str, Any] = {
        "t": answer.t,
        "prompt": recipe.prompt,
        "seed": recipe.seed,
        "alpha_bar": answer.alpha_bar,
        "sqrt_alpha_bar": answer.alpha_bar**0.5,
        "sqrt_one_minus_alpha_bar": (1 - answer.alpha_bar) ** 0.5,
        "loss": answer.loss,
        "loss_without_prompt": none.loss,
        "values": answer.epsilon.numel(),
    }
    if planned is not None:
        *_, last = prediction.guess(engine, x0, recipe, t)
        files["guess"] = next(latent_noise.decode(engine, last.x_t))
        numbers["guess"] = {
            "timesteps": list(planned.timesteps),
            "strength": planned.strength,
            "guidance_scale": recipe.guidance_scale,
            "sampler": recipe.sampler,
            "num_inference_steps": recipe.num_inference_steps,
        }
    return [FILES.path(png(picture), f"{name}.png") for name, picture in files.items()], numbers
