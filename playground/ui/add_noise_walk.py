"""Jump or walk: the closed form beside the step-by-step process it replaces, and that the two agree."""

from __future__ import annotations

import base64
import html
import io
import time

import gradio as gr
from PIL import Image

from playground import noise, pictures

SIDE = 128  # a thousand steps at 256 × 256 would take seconds, and show nothing more

# t lives in the browser only; it is read when the button is pressed
READ_T = "(t, ...rest) => [Number(document.querySelector('.dpn-range')?.value ?? t), ...rest]"


def _figure(picture: Image.Image, title: str, steps: int, seconds: float, measured: tuple[float, float]) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    source = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    took = f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"
    return (
        f'<figure><img src="{source}" alt="{title}" width="{SIDE}" height="{SIDE}"><figcaption><b>{title}</b>'
        f"<span>{steps} {'step' if steps == 1 else 'steps'}, {took}</span>"
        f"<span>signal {measured[0]:.3f}</span><span>noise {measured[1]:.3f}</span></figcaption></figure>"
    )


def compare(t: int, picture: Image.Image, schedule: str, seed: int) -> str:
    """t in 0..999, RGB picture, schedule, seed -> HTML: x_t by one jump and by t+1 steps, with what was measured"""
    try:
        numbers = noise.coefficients(schedule, t)
        small = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        x0, epsilon = pictures.to_x0(small), noise.noise_like((3, SIDE, SIDE), seed)
        start = time.perf_counter()
        jumped = noise.add_noise(x0, epsilon, t, schedule)
        landed = time.perf_counter()
        walked = noise.walk(x0, t, schedule, seed)
        arrived = time.perf_counter()
    except ValueError as error:
        return f'<div class="dp-error"><p role="alert">{html.escape(str(error), quote=True)}</p></div>'
    figures = _figure(pictures.from_x0(jumped), "Jump", 1, landed - start, noise.amplitudes(jumped, x0)) + _figure(
        pictures.from_x0(walked), "Walk", t + 1, arrived - landed, noise.amplitudes(walked, x0)
    )
    return (
        f'<div class="dpn-compare">{figures}<p>At t = {t} the formula says signal {numbers.sqrt_alpha_bar:.3f} and '
        f"noise {numbers.sqrt_one_minus_alpha_bar:.3f}; the numbers beside the pictures were measured in their "
        "pixels. The walk draws fresh noise at every step, so single pixels differ, and the amplitudes agree up to "
        "chance.</p></div>"
    )


def build(picture: gr.State, schedule: gr.Radio, seed: gr.Number) -> None:
    """Builds the section under the film strip; picture, schedule and seed are those of the tab."""
    gr.HTML(
        '<div class="dpn-walk-words"><h3>Jump or walk</h3><p>The process is defined as many small steps, each adding '
        "a little fresh noise. Noise added to noise is noise again, so one formula jumps to any t. Walk there and "
        "compare.</p></div>",
        elem_classes="dpn-flush",
        apply_default_css=False,
    )
    walk = gr.Button("Walk to this t, step by step", size="sm", elem_classes="dpn-walk")
    result = gr.HTML(elem_classes="dpn-flush", apply_default_css=False)
    t = gr.Number(250, visible=False)
    walk.click(
        compare,
        [t, picture, schedule, seed],
        result,
        js=READ_T,
        show_progress="minimal",
        api_visibility="private",
    )
