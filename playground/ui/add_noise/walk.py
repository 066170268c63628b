"""Jump or walk: the closed form beside the step-by-step process it replaces, and that the two agree."""

from typing import Any

import gradio as gr
from PIL import Image

from playground import pictures
from playground.inside.jump_or_walk import SIDE, JumpOrWalk, Way, jump_or_walk
from playground.refusal import Refusal
from playground.ui.shared.html import data_url, error, heading
from playground.ui.shared.stale import Stale

# t lives in the browser only; it is read when the button is pressed
READ_T = "(t, ...rest) => [Number(document.querySelector('.dpn-range')?.value ?? t), ...rest]"


def _figure(title: str, way: Way) -> str:
    took = f"{way.seconds:.1f} s" if way.seconds >= 1 else f"{1000 * way.seconds:.1f} ms"
    signal, amount = (f"{round(x, 3) + 0:.3f}".replace("-", "−") for x in way.amplitudes)  # no minus zero
    return (
        f'<figure><img src="{data_url(pictures.from_x0(way.x_t))}" alt="{title}" width="{SIDE}" height="{SIDE}">'
        f"<figcaption><b>{title}</b>"
        f"<span>{way.steps:,} {'step' if way.steps == 1 else 'steps'}, {took}</span>"
        f"<span>signal {signal}</span><span>noise {amount}</span></figcaption></figure>"
    )


def compare(t: int, picture: Image.Image, schedule: str, seed: int) -> str:
    """t in 0..999, RGB picture, schedule, seed -> HTML: x_t by one jump and by t+1 steps, with what was measured"""
    try:
        both = jump_or_walk(picture, t, schedule, seed)
    except Refusal as problem:
        return f'<div class="dp-error">{error(str(problem))}</div>'
    numbers, figures = both.formula, _figure("Jump", both.jump) + _figure("Walk", both.walk)
    return (
        f'<div class="dpn-compare">{figures}<p>At t = {t} the formula says signal {numbers.sqrt_alpha_bar:.3f} and '
        f"noise {numbers.sqrt_one_minus_alpha_bar:.3f}; the numbers beside the pictures were measured in their "
        f"pixels.</p></div>{_agreement(both)}"
    )


def _agreement(both: JumpOrWalk) -> str:
    """-> mean and variance of both noise parts against the formula, with the error that chance alone makes"""
    jump, walk, n = both.jump.moments, both.walk.moments, both.jump.x_t.numel()

    def cell(value: float, errors: float) -> str:
        return f"<td>{value:.4f}".replace("-", "−") + f"</td><td>{errors:.1f}</td>"

    rows = "".join(
        f"<tr><th scope='row'>{name}</th>{cell(m.mean, m.mean_off)}{cell(m.variance, m.variance_off)}</tr>"
        for name, m in (("Jump", jump), ("Walk", walk))
    )
    correlated = f"{both.correlation:.4f}".replace("-", "−")
    farthest = max(max(m.mean_off, m.variance_off) for m in (jump, walk))
    verdict = (
        f"The farthest of the four is {farthest:.1f} standard errors off; chance alone keeps all four within 2 "
        "in about 83 of 100 (0.954⁴)."
        if farthest <= 3
        else f"The farthest of the four is {farthest:.1f} standard errors off, which chance rarely does."
    )
    return (
        '<div class="dpn-walk-scroll"><table class="dpn-table dpn-agreement"><thead><tr>'
        '<th scope="col">x<sub>t</sub> − √ᾱ · x<sub>0</sub></th><th scope="col">Mean</th>'
        '<th scope="col">off by, errors</th><th scope="col">Variance</th>'
        '<th scope="col">off by, errors</th></tr></thead><tbody>'
        f"<tr><th scope='row'>Formula</th><td>0</td><td>± {jump.mean_error:.4f}</td>"
        f"<td>{jump.expected_variance:.4f}</td><td>± {jump.variance_error:.4f}</td></tr>{rows}</tbody></table></div>"
        f'<p class="dpn-walk-note dp-aloud">± is one standard error for {n:,} values. {verdict} The pictures '
        "differ because jump and walk drew different noise (the walk's seed is one higher) from the same law: the "
        f"correlation of their noise is {correlated}, and chance makes about ± {n**-0.5:.4f}.</p>"
    )


def build(picture: gr.State, schedule: gr.Radio, seed: gr.Number) -> None:
    """Builds the section under the film strip; picture, schedule and seed are those of the tab."""
    heading(
        "Jump or walk",
        "The process is defined as many small steps, each adding a little fresh noise. Noise added to noise is noise "
        "again, so one formula jumps to any t. Walk there and compare.",
    )
    walk = gr.Button("Walk to this t, step by step", size="sm", elem_classes="dp-walk")
    with gr.Column(elem_classes="dp-result"):
        stale = Stale()
        result = gr.HTML(elem_classes="dp-flush", apply_default_css=False)
    t = gr.Number(250, visible=False)

    # t is not among what makes it stale: the result says its t by itself, and t moves all the time
    asking = [picture, schedule, seed]

    def walked(t: int, *asked: Any) -> dict[gr.components.Component, Any]:
        return {result: compare(t, *asked)} | stale.asked(asked)

    stale.watch(asking, lambda given: tuple(given[field] for field in asking))
    walk.click(
        walked,
        [t, *asking],
        [result, *stale.outputs],
        js=READ_T,
        show_progress="minimal",
        api_visibility="private",
    )
