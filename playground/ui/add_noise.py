"""The "Add noise" tab: the forward process as one picture under the visitor's finger, and the /add_noise endpoint."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from playground import noise, pictures
from playground.ui import add_noise_walk

HERE = Path(__file__).parent
CSS: str = (HERE / "add_noise.css").read_text("utf-8")  # theme.py joins it with the rest
SKELETON: str = (HERE / "add_noise.html").read_text("utf-8")  # a template without placeholders: no text can enter it
SCRIPT: str = (HERE / "add_noise.js").read_text("utf-8")

EXAMPLES = HERE.parents[1] / "examples" / "images"
SAMPLES = (
    ("dusk.webp", "Lake at dusk"),
    ("sphere.webp", "Ball on a table"),
    ("bust.webp", "Plaster head"),
    ("flower.webp", "Flower"),
    ("quilt.webp", "Patchwork"),
    ("chart.webp", "Test chart"),
)
SCHEDULES = (
    ("Scaled linear (Stable Diffusion)", "scaled_linear"),
    ("Linear (DDPM)", "linear"),
    ("Cosine (improved DDPM)", "cosine"),
)
SHAPE = (3, pictures.SIDE, pictures.SIDE)


def last_step(schedule: str) -> str:
    """name -> one sentence on how much of the picture t = 999 still holds"""
    last = noise.coefficients(schedule, noise.TIMESTEPS - 1)
    percent = f"{100 * last.sqrt_alpha_bar:.2g} %"
    if last.alpha_bar > 1e-3:
        return (
            f"At t = 999 this schedule stops at ᾱ = {last.alpha_bar:.4f}: "
            f"{percent} of the picture's amplitude is still there, so it is not quite pure noise."
        )
    return f"At t = 999 ᾱ = {last.alpha_bar:.1e}: {percent} of the picture's amplitude is left, as good as pure noise."


def payload(picture: Image.Image, schedule: str, seed: int) -> str:
    """what the browser needs to compute x_t at every t by itself, as JSON; ValueError for a bad schedule or seed"""
    epsilon = noise.noise_like(SHAPE, seed)
    return json.dumps(
        {
            "side": pictures.SIDE,
            "x0": base64.b64encode(picture.tobytes()).decode(),  # (H, W, 3) uint8, 0..255 for [-1, 1]
            "noise": base64.b64encode(noise.quantise(epsilon)).decode(),  # (H, W, 3) int8, see noise.quantise
            "noiseUnit": 32,
            "alphaBar": noise.alphas_cumprod(schedule).tolist(),
            "half": noise.half_signal_power(schedule),
            "last": last_step(schedule),
            "key": f"{schedule} {seed}",
        }
    )


def add_noise(picture: str | None, t: int, schedule: str, seed: int) -> tuple[Image.Image, dict[str, Any]]:
    """Adds the noise of timestep t to a picture, on the server and at full precision.

    picture: PNG, JPEG, WebP, GIF, BMP or TIFF, at most 8 MB; its centre is used, at 256 × 256. t: 0 to 999.
    schedule: scaled_linear, linear or cosine. seed: 0 to 4294967295. Returns x_t and the coefficients at t.
    """
    try:
        if picture is None:
            raise ValueError("picture is missing.")
        numbers = noise.coefficients(schedule, t)
        epsilon = noise.noise_like(SHAPE, seed)
        x0 = pictures.to_x0(pictures.open_picture(picture))
        return pictures.from_x0(noise.add_noise(x0, epsilon, t, schedule)), vars(numbers)
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from None


def _error(sentence: str = "") -> str:
    return f'<p role="alert">{html.escape(sentence, quote=True)}</p>' if sentence else ""


def _refresh(picture: Image.Image, schedule: str, seed: int) -> tuple[Any, str]:
    """-> the stage's new value and the sentence under the seed; on bad input the stage stays as it is"""
    try:
        return payload(picture, schedule, seed), _error()
    except ValueError as error:
        return gr.skip(), _error(str(error))


def _choose(schedule: str, seed: int, chosen: gr.SelectData) -> tuple[Any, ...]:
    index = chosen.index
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(SAMPLES):
        return gr.skip(), gr.skip(), gr.skip(), gr.skip()
    picture = pictures.open_picture(EXAMPLES / SAMPLES[index][0])
    return picture, _error(), *_refresh(picture, schedule, seed)


def _upload(path: str | None, schedule: str, seed: int) -> tuple[Any, ...]:
    try:
        picture = pictures.open_picture(path or "")
    except ValueError as error:
        return gr.skip(), _error(str(error)), gr.skip(), gr.skip(), gr.skip()
    return picture, _error(), gr.Gallery(selected_index=None), *_refresh(picture, schedule, seed)


def build() -> None:
    """Builds the tab; to be called inside `with gr.Tab("Add noise"):` of a gr.Blocks."""
    samples = [(pictures.open_picture(EXAMPLES / name), title) for name, title in SAMPLES]
    picture = gr.State(samples[0][0])
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    with gr.Row(elem_classes="dp-columns"):
        with gr.Column(scale=0, min_width=340, elem_classes="dp-rail"):
            gallery = gr.Gallery(
                samples,
                label="Picture x₀",
                columns=3,
                height="auto",
                allow_preview=False,
                selected_index=0,
                object_fit="cover",
                buttons=[],
                interactive=False,
                elem_classes="dpn-samples",
            )
            upload = gr.UploadButton("Upload your own", file_types=["image"], size="sm")
            upload_error = gr.HTML(elem_classes="dp-error dpn-error dpn-flush")
            schedule = gr.Radio(
                list(SCHEDULES),
                value="scaled_linear",
                label="Noise schedule",
                info="How fast the picture fades: the share of noise at every t.",
            )
            seed = gr.Number(0, label="Seed of ε", info="Which noise is drawn. The same seed gives the same noise.")
            seed_error = gr.HTML(elem_classes="dp-error dpn-error dpn-flush")

        with gr.Column(scale=1, min_width=320, elem_classes=["dp-stage", "dpn-column"]):
            stage = gr.HTML(
                html_template=SKELETON, js_on_load=SCRIPT, apply_default_css=False, elem_classes="dpn-flush"
            )
            add_noise_walk.build(picture, schedule, seed)

    settings = [schedule, seed]
    shown = [stage, seed_error]
    # Without the queue: a picture must not wait behind someone's grid.
    stage.opened(_refresh, [picture, *settings], shown, queue=False, **quiet)
    schedule.change(_refresh, [picture, *settings], shown, queue=False, **quiet)
    seed.change(_refresh, [picture, *settings], shown, queue=False, trigger_mode="always_last", **quiet)
    gallery.select(_choose, settings, [picture, upload_error, *shown], queue=False, **quiet)
    upload.upload(_upload, [upload, *settings], [picture, upload_error, gallery, *shown], queue=False, **quiet)
    _endpoint()


def _endpoint() -> None:
    """/add_noise for programs. Plain fields without bounds of their own: playground.noise says what is wrong."""
    run = gr.Button(visible=False)
    run.click(
        add_noise,
        [
            gr.File(label="picture", type="filepath", visible=False),
            gr.Number(400, label="t", visible=False),
            gr.Textbox("scaled_linear", label="schedule", visible=False),
            gr.Number(0, label="seed", visible=False),
        ],
        [gr.Image(label="x_t", format="png", visible=False), gr.JSON(label="coefficients", visible=False)],
        api_name="add_noise",
    )
