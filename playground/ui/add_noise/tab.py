"""The "Add noise" tab: the forward process as one picture under the visitor's finger, and the /add_noise endpoint."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from playground import noise, pictures
from playground.engine import Engine
from playground.inside import latent_noise
from playground.recipe import Recipe
from playground.samplers import SAMPLERS
from playground.ui.add_noise import schedules as add_noise_schedules
from playground.ui.add_noise import walk as add_noise_walk
from playground.ui.add_noise.picture import own_picture
from playground.ui.shared.endpoint import register
from playground.ui.shared.html import data_url, error
from playground.ui.shared.latest import Latest
from playground.ui.shared.samples import gallery

HERE = Path(__file__).parent
SKELETON: str = (HERE / "tab.html").read_text("utf-8")  # a template without placeholders: no text can enter it
SCRIPT: str = (HERE / "tab.js").read_text("utf-8")
MARKS_SCRIPT: str = (HERE / "marks.js").read_text("utf-8")

EXAMPLES = HERE.parents[2] / "examples" / "images"
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
SPACES = (("Pixels", "pixels"), ("Latents", "latents"))
FRAMES = (*range(0, noise.TIMESTEPS, 50), noise.TIMESTEPS - 1)  # the t whose latents are decoded, 21 of them
STEPS = 20


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
            "kind": "pixels",
            "side": pictures.SIDE,
            "x0": base64.b64encode(picture.tobytes()).decode(),  # (H, W, 3) uint8, 0..255 for [-1, 1]
            "noise": base64.b64encode(noise.quantise(epsilon)).decode(),  # (H, W, 3) int8, see noise.quantise
            "noiseUnit": 32,
            "about": "",
            "key": f"{schedule} {seed}",
            **_schedule(schedule),
        }
    )


def latent_payload(engine: Engine, picture: Image.Image, schedule: str, seed: int) -> str:
    """the same for the model's latents of the picture, with x_t decoded at some t; ValueError as above"""
    side = engine.model.default_side
    small, alphas = picture.resize((side, side), Image.Resampling.LANCZOS), noise.alphas_cumprod(schedule)
    x0, epsilon, decoded = latent_noise.noised_film(engine, small, noise.check_seed(seed), alphas, FRAMES)
    channels, height, width = x0.shape[1:]
    return json.dumps(
        {
            "kind": "latents",
            "shape": [channels, height, width],
            "x0": base64.b64encode(x0.numpy().astype("<f4").tobytes()).decode(),
            "noise": base64.b64encode(epsilon.numpy().astype("<f4").tobytes()).decode(),
            "limit": latent_noise.LIMIT,
            "frames": [{"t": t, "src": data_url(frame, exact=False)} for t, frame in zip(FRAMES, decoded, strict=True)],
            "about": f"Here x₀ is what the model's VAE makes of the picture: {channels} channels of {height} × "
            f"{width}, {3 * side * side // x0.numel()} times fewer values than its {side} × {side} pixels. Channels "
            f"are drawn black at −{latent_noise.LIMIT:g} and white at {latent_noise.LIMIT:g}.",
            "key": f"{schedule} {seed} latents",
            **_schedule(schedule),
        }
    )


def _schedule(schedule: str) -> dict[str, Any]:
    return {
        "alphaBar": noise.alphas_cumprod(schedule).tolist(),
        "half": noise.half_signal_power(schedule),
        "last": last_step(schedule),
    }


def add_noise(picture: str | None, t: int, schedule: str, seed: int) -> tuple[Image.Image, dict[str, Any]]:
    """Adds the noise of timestep t to a picture, on the server and at full precision.

    picture: PNG, JPEG, WebP, GIF, BMP or TIFF, at most 8 MB; its centre is used, at 256 × 256. t: 0 to 999.
    schedule: scaled_linear, linear or cosine. seed: 0 to 4294967295. Returns x_t and the coefficients at t.
    """
    if picture is None:
        raise ValueError("picture is missing.")
    numbers = noise.coefficients(schedule, t)
    epsilon = noise.noise_like(SHAPE, seed)
    x0 = pictures.to_x0(pictures.open_picture(picture))
    return pictures.from_x0(noise.add_noise(x0, epsilon, t, schedule)), vars(numbers)


def visited(engine: Engine, sampler: str, steps: int, schedule: str) -> str:
    """sampler key, N, schedule -> HTML: the timesteps the sampler visits, for the eye and as data for add_noise.js"""
    Recipe(sampler=sampler, num_inference_steps=steps)  # ValueError with one sentence
    config = {**engine.model.scheduler_config, **noise.SCHEDULES[noise.check_schedule(schedule)]}
    times = noise.visited(sampler, steps, config)
    shown = [f"{t:.0f}" for t in times]
    listed = ", ".join(shown if len(shown) <= 24 else [*shown[:8], "…", *shown[-4:]])
    return (
        f'<p class="dpn-visits" data-visits="{",".join(shown)}">Marked on the timeline: {len(times)} of '
        f"{noise.TIMESTEPS:,} timesteps. {listed}</p>"
    )


def build(engine: Engine) -> None:
    """Builds the tab; to be called inside `with gr.Tab("Add noise"):` of a gr.Blocks."""
    samples = [(pictures.open_picture(EXAMPLES / name), title) for name, title in SAMPLES]
    picture = gr.State(samples[0][0])
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    with gr.Row(elem_classes="dp-columns"):
        with gr.Column(scale=0, min_width=340, elem_classes="dp-rail"):
            chooser = gallery(samples)
            own = own_picture()
            own_error = gr.HTML(elem_classes="dp-error dp-flush")
            space = gr.Radio(
                list(SPACES),
                value="pixels",
                label="Pixels or latents",
                info="Where the noise is added. A latent diffusion model works in its VAE's latents.",
            )
            schedule = gr.Radio(
                list(SCHEDULES),
                value="scaled_linear",
                label="Noise schedule",
                info="How fast the picture fades: the share of noise at every t.",
            )
            seed = gr.Number(0, label="Seed of ε", info="Which noise is drawn. The same seed gives the same noise.")
            seed_error = gr.HTML(elem_classes="dp-error dp-flush")
            sampler = gr.Dropdown(
                [(row.label, key) for key, row in SAMPLERS.items()],
                value="ddim",
                label="Sampler",
                info="On its way back it asks the network at these timesteps only.",
            )
            steps = gr.Number(STEPS, label="Steps")
            steps_error = gr.HTML(elem_classes="dp-error dp-flush")
            marks = gr.HTML(
                visited(engine, "ddim", STEPS, "scaled_linear"),
                js_on_load=MARKS_SCRIPT,
                elem_classes="dp-flush dpn-visited",
                apply_default_css=False,
            )

        with gr.Column(scale=1, min_width=320, elem_classes=["dp-stage", "dpn-column"]):
            stage = gr.HTML(html_template=SKELETON, js_on_load=SCRIPT, apply_default_css=False, elem_classes="dp-flush")
            add_noise_walk.build(picture, schedule, seed)
            schedules = add_noise_schedules.build()

    def refresh(picture: Image.Image, schedule: str, seed: int, space: str) -> tuple[Any, str]:
        """-> the stage's new value and the sentence under the seed; on bad input the stage stays as it is"""
        try:
            if space == "latents":
                return latent_payload(engine, picture, schedule, seed), error()
            return payload(picture, schedule, seed), error()
        except ValueError as problem:
            return gr.skip(), error(str(problem))

    latest = Latest()  # a picture chosen while another one is being prepared takes its place

    def choose(request: gr.Request, schedule: str, seed: int, space: str, chosen: gr.SelectData) -> list[Any]:
        index = chosen.index
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(SAMPLES):
            return [gr.skip()] * 4
        mine = samples[index][0]
        return latest.answer(request.session_hash, lambda: [mine, error(), *refresh(mine, schedule, seed, space)], 4)

    def bring(request: gr.Request, path: str | None, schedule: str, seed: int, space: str) -> Sequence[Any]:
        if path is None:  # the field was emptied: the picture that is shown stays
            return gr.skip(), error(), gr.skip(), gr.skip(), gr.skip()
        try:
            mine = pictures.open_picture(path)
        except ValueError as problem:
            return gr.skip(), error(str(problem)), gr.skip(), gr.skip(), gr.skip()
        unselected = gr.Gallery(selected_index=None)
        return latest.answer(
            request.session_hash, lambda: [mine, error(), unselected, *refresh(mine, schedule, seed, space)], 5
        )

    def mark(sampler: str, steps: int, schedule: str) -> tuple[Any, str]:
        try:
            return visited(engine, sampler, steps, schedule), error()
        except ValueError as problem:
            return gr.skip(), error(str(problem))

    settings = [schedule, seed, space]
    shown = [stage, seed_error]
    # Without the queue: a picture must not wait behind someone's grid.
    opened = stage.opened(refresh, [picture, *settings], shown, queue=False, **quiet)
    opened.then(*schedules, queue=False, **quiet)
    gr.on([schedule.change, space.change], refresh, [picture, *settings], shown, queue=False, **quiet)
    seed.change(refresh, [picture, *settings], shown, queue=False, trigger_mode="always_last", **quiet)
    picking = {**quiet, "queue": False, "trigger_mode": "multiple"}
    chooser.select(choose, settings, [picture, own_error, *shown], **picking)
    own.input(bring, [own, *settings], [picture, own_error, chooser, *shown], **picking)
    gr.on(
        [sampler.change, steps.change, schedule.change],
        mark,
        [sampler, steps, schedule],
        [marks, steps_error],
        queue=False,
        trigger_mode="always_last",
        **quiet,
    )
    # Plain fields without bounds of their own: playground.noise says what is wrong.
    fields = [
        gr.File(label="picture", type="filepath", render=False),
        gr.Number(400, label="t", render=False),
        gr.Textbox("scaled_linear", label="schedule", render=False),
        gr.Number(0, label="seed", render=False),
    ]
    answers = [gr.Image(label="x_t", format="png", render=False), gr.JSON(label="coefficients", render=False)]
    register(add_noise, "add_noise", fields, answers)
