"""Schedules side by side: five ways from a picture to noise, overlaid in one plot, and what each leaves at the end."""

import math
from collections.abc import Callable
from typing import Any

import gradio as gr
import pandas as pd

from playground import noise
from playground.ui.shared.html import heading
from playground.ui.shared.quiet import QUIET

QUANTITIES = {"signal √ᾱ": "signal", "noise √(1−ᾱ)": "noise", "log SNR": "log_snr"}
COLOURS = {
    "Scaled linear": "#2563eb",
    "Linear": "#c2410c",
    "Cosine": "#15803d",
    "Zero terminal SNR": "#7c3aed",
    "Flow matching": "#71757c",
}
EVERY = 9  # of 1,000 timesteps: 112 points a curve, t = 0 and t = 999 among them


def table(quantity: str) -> pd.DataFrame:
    """a key of QUANTITIES -> t, its value, schedule; where SNR is 0 its logarithm has no point"""
    rows = []
    for curve in noise.compared():
        values = getattr(curve, QUANTITIES[quantity]).tolist()
        for t in range(0, noise.TIMESTEPS, EVERY):
            if math.isfinite(values[t]):
                rows.append((t, values[t], curve.label))
    return pd.DataFrame(rows, columns=["t", "value", "schedule"])


def _left(curve: noise.Curve) -> str:
    last = float(curve.signal[-1])
    if last == 0:
        return "nothing: pure noise"
    return f"{100 * last:.2g} %"


def landmarks() -> str:
    rows = "".join(
        f"<tr><th scope='row'><i class='dpn-swatch' style='background:{COLOURS[curve.label]}'></i>{curve.label}</th>"
        f"<td>{curve.half_power}</td><td>{curve.crossing}</td><td>{_left(curve)}</td></tr>"
        for curve in noise.compared()
    )
    return (
        '<div class="dpn-walk-scroll"><table class="dpn-table dpn-facts"><thead><tr>'
        '<th scope="col">Schedule</th><th scope="col">Half the power left at t</th>'
        '<th scope="col">Signal = noise at t</th><th scope="col">Amplitude left at t = 999</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
        '<p class="dpn-walk-note">Zero terminal SNR is scaled linear, rescaled so that its last step is pure noise '
        "(Lin et al. 2023). Flow matching mixes along a straight line, (1−σ) · x₀ + σ · ε with σ = (t+1)/1000, so its "
        "two squares do not add up to 1, and for it √ᾱ reads 1−σ and √(1−ᾱ) reads σ.</p>"
    )


def build() -> tuple[Callable[[str], Any], gr.Radio, gr.LinePlot]:
    """Builds the section; to be called inside the stage of the tab. Returns (function, its input, its output).

    The caller runs it once the tab's picture is there: drawing a plot keeps the browser busy for most of a second.
    """

    def draw(name: str) -> Any:
        return gr.LinePlot(table(name), **_axes(name)) if name in QUANTITIES else gr.skip()

    first = next(iter(QUANTITIES))
    heading(
        "Schedules",
        "The same picture fades at another pace under each schedule. Where a curve ends decides whether the last step "
        "is pure noise.",
    )
    quantity = gr.Radio(list(QUANTITIES), value=first, show_label=False, container=False, label="What to plot")
    plot = gr.LinePlot(**_axes(first))
    gr.HTML(landmarks(), elem_classes="dp-flush", apply_default_css=False)
    quantity.change(draw, quantity, plot, queue=False, **QUIET)
    return draw, quantity, plot


def _axes(quantity: str) -> dict[str, object]:
    return {
        "x": "t",
        "y": "value",  # always this column: the plot in the browser would take a new one for categories
        "y_title": quantity,
        "color": "schedule",
        "color_map": COLOURS,
        "colors_in_legend": [],  # the table below has the colours; the plot's own legend does not fit on a phone
        "color_title": " ",
        "height": 280,
        "buttons": [],
        "tooltip": "axis",
        "show_label": False,
        "elem_classes": "dpn-schedule-plot",
    }
