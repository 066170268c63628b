"""/predict_noise for programs, and what it shares with the tab: a checked question, and its answer as files."""

from __future__ import annotations

from typing import Any

import gradio as gr

from playground import pictures
from playground.engine import Engine
from playground.inside import latent_noise, prediction
from playground.inside.guess import Plan, guess, plan
from playground.recipe import Recipe
from playground.ui.shared.endpoint import ENGINE, register
from playground.ui.shared.files import FILES
from playground.ui.shared.html import png

GUIDANCE = 5.0


def checked(engine: Engine, prompt: Any, seed: Any) -> Recipe:
    """Checks both; ValueError with one sentence. The sampler is that of a guess, unless another is asked for: DDIM,
    because its timesteps are whole and it adds no noise."""
    side = engine.model.default_side
    return Recipe(prompt=prompt, seed=seed, sampler="ddim", width=side, height=side, model=engine.model.name)


def build(engine: Engine) -> None:
    """Register `/predict_noise`; it has no visible part.

    Plain fields without bounds of their own: the functions say what is wrong.
    """

    def predict_noise(
        picture: str | None,
        prompt: str,
        t: int,
        seed: int,
        num_inference_steps: int | None = None,
        sampler: str = "ddim",
    ) -> tuple[list[str], dict[str, Any]]:
        """Adds the noise of timestep t to a picture's latents and lets the model name it.

        picture: PNG, JPEG, WebP, GIF, BMP or TIFF, at most 8 MB; its centre is used, at the model's size. prompt: what
        is in it. t: 0 to 999. seed: 0 to 4294967295. num_inference_steps: when given, the picture is also guessed from
        x_t, 1 to 100 steps for the whole way, guidance_scale 5. sampler: of that guess, such as ddim or euler. Returns
        the files x_t, epsilon, predicted and x0 (and guess), pictures decoded by the VAE and noise as its channels,
        and the numbers.
        """
        if picture is None:
            raise ValueError("picture is missing.")
        recipe = checked(engine, prompt, seed).replace(guidance_scale=GUIDANCE)
        planned = None
        if num_inference_steps is not None:
            recipe = recipe.replace(sampler=sampler).replace(num_inference_steps=num_inference_steps)
            planned = plan(engine, recipe, t)
        x0 = latent_noise.encode_picture(engine, pictures.open_picture(picture, engine.model.default_side))
        return _answered(engine, x0, recipe, t, planned)

    inputs = [
        gr.File(label="picture", type="filepath", render=False),
        gr.Textbox(label="prompt", render=False),
        gr.Number(500, label="t", render=False),
        gr.Number(0, label="seed", render=False),
        gr.Number(None, label="num_inference_steps", render=False),
        gr.Textbox("ddim", label="sampler", render=False),
    ]
    outputs = [gr.Files(label="pictures", render=False), gr.JSON(label="numbers", render=False)]
    register(predict_noise, "predict_noise", inputs, outputs, **ENGINE)


def _answered(
    engine: Engine, x0: Any, recipe: Recipe, t: int, planned: Plan | None
) -> tuple[list[str], dict[str, Any]]:
    """-> the endpoint's files and numbers"""
    (answer, none), (x_t, left) = prediction.predict_and_decode(engine, x0, [recipe.prompt, ""], t, recipe.seed)
    tiles = latent_noise.channel_tiles
    files = {"x_t": x_t, "epsilon": tiles(answer.epsilon), "predicted": tiles(answer.predicted), "x0": left}
    numbers: dict[str, Any] = {
        "t": answer.t,
        "prompt": recipe.prompt,
        "seed": recipe.seed,
        "alpha_bar": answer.alpha_bar,
        "sqrt_alpha_bar": answer.signal,
        "sqrt_one_minus_alpha_bar": answer.noise,
        "loss": answer.loss,
        "loss_without_prompt": none.loss,
        "values": answer.epsilon.numel(),
    }
    if planned is not None:
        *_, last = guess(engine, x0, recipe, t)
        files["guess"] = last.picture
        numbers["guess"] = {
            "timesteps": list(planned.timesteps),
            "strength": planned.strength,
            "guidance_scale": recipe.guidance_scale,
            "sampler": recipe.sampler,
            "num_inference_steps": recipe.num_inference_steps,
        }
    return [FILES.path(png(picture), f"{name}.png") for name, picture in files.items()], numbers
