"""The "Inside" tab, from words to picture: the pipeline walk, cross-attention, the VAE; and /inspect_prompt."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from playground.engine import Engine, Result
from playground.inside.walk import Walk, begin, walk
from playground.models.words import Words
from playground.recipe import PROMPT_LIMIT, Recipe
from playground.refusal import Refusal
from playground.store import from_png
from playground.ui.inside import api, attention, autoencoder
from playground.ui.inside.boxes import EARLIER, diagram, remarks_on
from playground.ui.inside.form import Form
from playground.ui.inside.format import milliseconds
from playground.ui.shared.endpoint import ENGINE
from playground.ui.shared.html import error, paragraph
from playground.ui.shared.latest import Latest, Update
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.shipped import examples, first_view_files, start_recipe
from playground.ui.shared.stale import Stale
from playground.ui.shared.sure import question

HERE = Path(__file__).parent
SCRIPT: str = (HERE / "tab.js").read_text("utf-8")
WORDS = (
    "<h2>From words to picture</h2><p>One prompt on its way through the model that is loaded here. Every box is read "
    "off that model; every time is measured in the walk that is shown. Choose a box to see what is in it.</p>"
)


def build(engine: Engine) -> None:
    """Builds the tab; to be called inside `with gr.Tab("Inside"):` of a gr.Blocks."""
    start = start_recipe(engine.facts)

    def drawn(now: Walk, earlier: bool = False) -> str:
        return diagram(engine.facts, engine.anatomy(now.recipe.width, now.recipe.height), now, earlier)

    def first_view() -> tuple[str, str, Any]:
        """Diagram, status, picture."""
        now, earlier = begin(engine, start), shipped(start)
        if earlier is None or earlier.x0 is None:
            return drawn(now), paragraph("Walk makes the picture."), None
        now = replace(now, latents=earlier.x0[0], picture=earlier.image)
        return drawn(now, earlier=True), paragraph(EARLIER), earlier.image

    latest = Latest()

    def run(given: dict[gr.components.Component, Any], request: gr.Request) -> Iterator[Update]:
        recipe, errors = form.read(given)
        if errors:
            yield form.says(errors)
            return
        page = request.session_hash or ""
        if held := form.sure.holds(given, question(engine, [recipe], page), recipe):
            yield form.says({}) | held
            return
        yield from latest.show(page, go(recipe, page), recipe, {stage: gr.skip()})

    def go(recipe: Recipe, page: str) -> Iterator[Update]:
        yield form.says({}) | form.sure.gone() | {status: paragraph("Starting …")}
        answered = stale.asked(recipe)  # with the first thing that is shown of it
        glimpses = 0
        try:
            for now in walk(engine, recipe, page):
                new = now.k == 0 or len(now.film) > glimpses or now.picture
                glimpses = len(now.film)
                changed = answered | ({stage: drawn(now)} if new else {})
                answered = {}
                changed[status] = line(now, engine.facts.network)
                yield changed | ({generated: now.picture} if now.picture else {})
        except Refusal as refusal:
            yield {status: error(str(refusal))}

    def cutting(prompt: str | None, weights: bool | None) -> str:
        text = prompt or ""
        return "" if len(text) > PROMPT_LIMIT else _said_of(engine.words(text, int(weights is True)))

    # on a CPU what needs no network call is there from the beginning; elsewhere asking for it is fast anyway
    at_once = first_view() if engine.facts.device == "cpu" else (None, None, None)
    generated = gr.State(at_once[2])
    light, heavy = {"queue": False, **QUIET}, {**ENGINE, **QUIET}

    def at_start(*event: Any) -> None:
        """Run this (function, inputs, outputs) once the first view is there."""
        if at_once[0] is not None:
            stage.opened(*event, **heavy)
        else:
            stage.opened(first_view, None, [stage, status, generated], **light).then(*event, **heavy)

    with gr.Row(elem_classes="dp-columns"):
        with gr.Column(elem_classes="dp-rail"):
            form = Form(start, engine.facts, _said_of(engine.words(start.prompt)))
        with gr.Column(elem_classes=["dp-stage", "dpi-stage"]):
            gr.HTML(WORDS, elem_classes="dp-say")
            with gr.Column(elem_classes="dp-result"):
                stale = Stale(start)
                stage = gr.HTML(at_once[0], js_on_load=SCRIPT, elem_id="inside-diagram", min_height=560)
                status = gr.HTML(at_once[1], elem_classes=["dp-total", "dp-aloud"], elem_id="inside-status")
            stoppable = [(latest, status), *attention.build(engine, form)]
            autoencoder.build(engine, generated, at_start)

    typed = [form.prompt, form.weights]
    gr.on([part.change for part in typed], cutting, typed, form.cut, trigger_mode="always_last", **light)
    shown = [*form.told, *form.sure.outputs, stage, status, generated, *stale.outputs]
    stale.watch(form.inputs, form.asked)

    def asks(given: dict[gr.components.Component, Any], page: str) -> str:
        recipe = form.asked(given)
        return question(engine, [recipe], page) if recipe else ""

    form.sure.watch(form.inputs, asks, form.asked)
    given = {*form.inputs, *form.sure.inputs}
    gr.on(
        [form.run.click, *(field.submit for field in form.one_line)],
        run,
        given,
        shown,
        trigger_mode="multiple",
        **heavy,
    )

    def stop(request: gr.Request) -> Update:
        ended = [html for runs, html in stoppable if runs.stop(request.session_hash) is not None]
        return dict.fromkeys(ended, paragraph("Stopped.")) or {status: gr.skip()}

    # In the queue, whose updates reach the page in order: those of the ended runs then come before.
    form.stop.click(stop, None, [html for _, html in stoppable], concurrency_limit=None, **QUIET)
    api.build(engine)


@lru_cache
def shipped(recipe: Recipe) -> Result | None:
    """The first view's own picture of this recipe, with its latents; None where none was rendered."""
    for path in first_view_files(examples()[0].sweep):
        result = from_png(path.read_bytes())
        if result.recipe == recipe:
            return result
    return None


def line(now: Walk, network: str) -> str:
    """Where a walk stands, or what it took, as HTML."""
    took = now.milliseconds
    if now.picture is None:
        return paragraph(f"{network} call {now.k} of {now.of}." if now.k else "Words are encoded, noise is drawn.")
    parts = (("tokenizer", "tokens"), ("text encoder", "text_encoder"), (network, "unet"), ("VAE decoder", "decoder"))
    times = ", ".join(f"{name} {milliseconds(took[key])}" for name, key in parts)
    return paragraph(
        f"Measured in this run: {times}. Where other visitors' pictures were in the same calls, this picture's share "
        "is counted."
    )


def _said_of(words: Words) -> str:
    """Under the prompt field, while it is typed: how it is read"""
    return "".join(paragraph(sentence) for sentence in remarks_on(words))
