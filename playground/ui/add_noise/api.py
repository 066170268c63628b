"""/add_noise for programs."""

import math
from typing import Any

import gradio as gr
from PIL import Image

from playground import noise, pictures
from playground.ui.add_noise.payload import SHAPE
from playground.ui.shared.described import PICTURE, describe
from playground.ui.shared.endpoint import A_PICTURE, exemplary, register
from playground.ui.shared.samples import IMAGES, SAMPLES, sent_or_shipped

SHIPPED = {title: IMAGES / name for name, title in SAMPLES}


def build() -> None:
    """Register `/add_noise`; it has no visible part.

    Plain fields without bounds of their own: playground.noise says what is wrong.
    """
    inputs = [
        exemplary(gr.File(label="picture", type="filepath", render=False), A_PICTURE),
        gr.Number(400, label="t", render=False),
        gr.Textbox("scaled_linear", label="schedule", render=False),
        gr.Number(0, label="seed", render=False),
        gr.Textbox(next(iter(SHIPPED)), label="example", render=False),
    ]
    outputs = [gr.Image(label="x_t", format="png", render=False), gr.JSON(label="coefficients", render=False)]
    describe(add_noise, picture=PICTURE, examples="; ".join(SHIPPED))
    register(add_noise, "add_noise", inputs, outputs)


def add_noise(
    picture: str | None = None,
    t: int = 400,
    schedule: str = "scaled_linear",
    seed: int = 0,
    example: str = next(iter(SHIPPED)),
) -> tuple[Image.Image, dict[str, Any]]:
    """Adds the noise of timestep t to a picture, in one jump by the closed form of the forward process.

    Parameters:
        picture: {picture}; its centre is used, at 256 × 256; may be left out
        t: the timestep, a whole number from 0 (hardly any noise) to 999 (hardly any picture), for example 400
        schedule: scaled_linear (Stable Diffusion's), linear (DDPM's), cosine, zero_snr (ends in pure noise) or flow
        seed: of the noise, a whole number from 0 to 4294967295
        example: the picture where no file is given: {examples}
    Returns:
        x_t as a PNG
        t, alpha_bar, sqrt_alpha_bar, sqrt_one_minus_alpha_bar, snr and log_snr at t; an infinite one is null
    """
    numbers = noise.coefficients(schedule, t)
    epsilon = noise.noise_like(SHAPE, seed)
    x0 = pictures.to_x0(sent_or_shipped(picture, example, SHIPPED, pictures.SIDE))
    return pictures.from_x0(noise.add_noise(x0, epsilon, t, schedule)), {
        name: value if math.isfinite(value) else None for name, value in vars(numbers).items()
    }
