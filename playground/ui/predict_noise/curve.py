"""Loss over t: the network's loss at many noise levels, with the right caption, a wrong one and none."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr
import pandas as pd

from playground.engine import Engine
from playground.inside.latent_noise import spread_timesteps
from playground.inside.prediction import losses
from playground.refusal import Refusal
from playground.ui.predict_noise.rail import NEWEST, ROLES, Asked, Rail, Updates, Values
from playground.ui.shared.html import error, heading
from playground.ui.shared.latest import Latest
from playground.ui.shared.stale import Stale

COLOURS = {"right": "#2563eb", "wrong": "#c2410c", "none": "#71757c"}
POINTS = 20  # timesteps of the curve
DRAWS = 8  # draws of ε for the averaged curve
PLOT: dict[str, Any] = {
    "x": "t",
    "color": "caption",
    "color_map": COLOURS,
    "height": 230,
    "buttons": [],
    "tooltip": "axis",
}


def build(engine: Engine, rail: Rail) -> tuple[Callable[..., Any], Any, Any]:
    """Builds the section. Returns what measures the curve: function, inputs, outputs; the caller says when first."""
    heading(
        "Loss over t",
        f"The same question at {POINTS} noise levels, with three captions. One line for each. L falls towards the "
        "right because x<sub>t</sub> is nearly all noise there, and naming it is easy: a small L does not mean a good "
        "picture.",
    )
    with gr.Column(elem_classes="dp-result"):
        stale = Stale()
        with gr.Row():
            loss_plot = gr.LinePlot(**PLOT, y="L", title="L over t", min_width=300)
            change_plot = gr.LinePlot(**PLOT, y="change of L in %", title="L, right against none", min_width=300)
        found = gr.HTML('<p class="dpp-found"></p>', elem_classes="dp-flush", apply_default_css=False)
    more = gr.Button(f"Average over {DRAWS} draws of ε", size="sm", elem_classes="dp-walk")
    drawn = gr.State(None)  # what the curve that is shown was Asked
    latest = Latest()
    nothing = {found: gr.skip()}

    def measure(given: Values, request: gr.Request, draws: int = 1) -> Iterator[Updates]:
        asked, errors = rail.read(given)
        if errors:
            yield nothing
        else:
            page = request.session_hash or ""
            yield from latest.show(page, means(asked, draws, page), (asked, draws), nothing)

    def means(asked: Asked, draws: int, page: str) -> Iterator[Updates]:
        timesteps = spread_timesteps(engine.facts.total_timesteps, POINTS)
        means_so_far = losses(engine, asked.subject.x0, asked.captions, timesteps, asked.recipe.seed, draws, page)
        try:
            for n, mean in enumerate(means_so_far, 1):
                loss, change = tables(timesteps, mean, asked.captioned)
                shown = {loss_plot: loss, change_plot: change, found: measured(asked, mean, n), drawn: asked}
                yield shown | stale.asked(asked)
        except Refusal as problem:
            yield {found: f'<div class="dp-error">{error(str(problem))}</div>'}

    def settled(given: Values, request: gr.Request) -> Iterator[Updates]:
        """A field was left: measure again, but only where something is different from what the curve is about."""
        about, _ = latest.under_way(request.session_hash) or (given[drawn], None)
        if about == rail.read(given)[0]:
            yield nothing
        else:
            yield from measure(given, request)

    def average(given: Values, request: gr.Request) -> Iterator[Updates]:
        yield from measure(given, request, DRAWS)

    outputs = [loss_plot, change_plot, found, drawn, *stale.outputs]
    stale.watch(rail.inputs, rail.asked)
    fields = (rail.caption, rail.wrong, rail.seed)
    left = [*(field.submit for field in fields), *(field.blur for field in fields)]
    gr.on(left, settled, {drawn, *rail.inputs}, outputs, **NEWEST)
    more.click(average, rail.inputs, outputs, **NEWEST)
    return measure, rail.inputs, outputs


def tables(timesteps: Sequence[int], mean: Any, captioned: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """L (captions, timesteps), averaged over draws -> tables for the plots: L, and by how much the words change it;
    where nothing was said about the picture, there is no line of the right words"""
    values = {role: row.tolist() for role, row in zip(ROLES, mean, strict=True) if captioned or role != "right"}
    loss = [(t, v, role) for role, row in values.items() for t, v in zip(timesteps, row, strict=True)]
    change = [
        (t, 100 * (v / none - 1), "right")
        for t, v, none in zip(timesteps, values.get("right", ()), values["none"], strict=captioned)
    ]
    return (
        pd.DataFrame(loss, columns=["t", "L", "caption"]),
        pd.DataFrame(change, columns=["t", "change of L in %", "caption"]),
    )


def measured(asked: Asked, mean: Any, draws: int) -> str:
    """L (captions, timesteps) -> what the two curves measured, as a paragraph"""
    right, wrong, none = (float(row.mean()) for row in mean)
    lower, better = int((mean[0] < mean[2]).sum()), int((mean[0] < mean[1]).sum())
    how = "one draw of ε" if draws == 1 else f"the mean of {draws} draws of ε"
    if not asked.captioned:
        return (
            f'<p class="dpp-found">Averaged over these {mean.shape[1]} timesteps, L is <b>{none:.4f}</b> without a '
            f"caption and <b>{wrong:.4f}</b> with the wrong one. Say under Caption what is in the picture, and the "
            f"right words have a line of their own. Every point is {how}; all lines share it.</p>"
        )
    change = 100 * (round(right, 4) / round(none, 4) - 1)  # of the digits that are shown
    helped = f"{abs(change):.1f} % {'lower' if change < 0 else 'higher'}"
    if change >= 0:
        helped += ". That is common with pictures unlike those that a model was trained on"
    return (
        f'<p class="dpp-found">Averaged over these {mean.shape[1]} timesteps, L is <b>{right:.4f}</b> with the '
        f"right caption, <b>{wrong:.4f}</b> with the wrong one and <b>{none:.4f}</b> with none: the right words "
        f"make it {helped}. At {lower} of {mean.shape[1]} timesteps the right caption does better than "
        f"none, at {better} better than the wrong one. Every point is {how}; all three lines share it.</p>"
    )
