"""The "Inside" tab, from words to picture: the pipeline walk, cross-attention, the VAE; and /inspect_prompt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from playground.engine import Engine, Result
from playground.inside.pipeline import Walk, begin, walk
from playground.inside.words import cut
from playground.recipe import PROMPT_LIMIT, Recipe
from playground.store import from_png
from playground.ui.inside import api as inside_api
from playground.ui.inside import attention as inside_attention
from playground.ui.inside import autoencoder as inside_autoencoder
from playground.ui.inside.boxes import EARLIER, diagram, remarks_on
from playground.ui.inside.form import Form
from playground.ui.inside.format import milliseconds, say
from playground.ui.shared.endpoint import ENGINE
from playground.ui.shared.html import error, escaped, first_line
from playground.ui.shared.latest import Latest
from playground.ui.shared.shipped import examples, first_view_files

HERE = Path(__file__).parent
SCRIPT: str = (HERE / "tab.js").read_text("utf-8")
WORDS = (
    "<h2>From words to picture</h2><p>One prompt on its way through the model that is loaded here. Every box is read "
    "off that model; every time is measured in this run. Choose a box to see what is in it.</p>"
)


def build(engine: Engine) -> None:
    """Builds the tab; to be called inside `with gr.Tab("Inside"):` of a gr.Blocks."""
    start = first_recipe(engine)

    def opened() -> list[Any]:
        now, earlier = begin(engine, start), shipped(start)
        if earlier is None or earlier.x0 is None:
            return [diagram(engine.model, now), say("Walk makes the picture."), None]
        now = replace(now, latents=earlier.x0[0], picture=earlier.image)
        return [diagram(engine.model, now, earlier=True), say(EARLIER), earlier.image]

    latest = Latest()

    def run(request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        recipe, errors = form.read(values)
        if recipe is None:
            yield [*errors, gr.skip(), gr.skip(), gr.skip()]
            return
        yield from latest.show(request.session_hash, go(recipe, errors), recipe, len(shown))

    def go(recipe: Recipe, errors: list[str]) -> Iterator[list[Any]]:
        skipped, frames = [gr.skip()] * len(errors), 0
        yield [*errors, gr.skip(), say("Starting …"), gr.skip()]
        try:
            for now in walk(engine, recipe):
                new = now.k == 0 or len(now.film) > frames or now.picture
                frames = len(now.film)
                yield [
                    *skipped,
                    diagram(engine.model, now) if new else gr.skip(),
                    line(now),
                    now.picture or gr.skip(),
                ]
        except (ValueError, RuntimeError, ArithmeticError) as problem:
            yield [*skipped, gr.skip(), error(first_line(problem)), gr.skip()]

    def cutting(prompt: str | None) -> str:
        text = prompt or ""
        return "" if len(text) > PROMPT_LIMIT else _cut(engine, text)

    # on a CPU what needs no network call is there from the beginning; elsewhere asking for it is fast anyway
    at_once = opened() if engine.model.device.type == "cpu" else [None, None, None]
    generated = gr.State(at_once[2])
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    light, heavy = {"queue": False, **quiet}, {**ENGINE, **quiet}

    def at_start(*event: Any) -> None:
        """Run this (function, inputs, outputs) once the first view is there."""
        if at_once[0] is not None:
            stage.opened(*event, **heavy)
        else:
            stage.opened(opened, None, [stage, status, generated], **light).then(*event, **heavy)

    with gr.Row(elem_classes="dp-columns"):
        with gr.Column(elem_classes="dp-rail"):
            form = Form(start)
            form.cut.value = _cut(engine, start.prompt)
        with gr.Column(elem_classes=["dp-stage", "dpi-stage"]):
            gr.HTML(WORDS, elem_classes="dp-say")
            stage = gr.HTML(at_once[0], js_on_load=SCRIPT, elem_id="inside-diagram", min_height=560)
            status = gr.HTML(at_once[1], elem_classes="dp-total", elem_id="inside-status")
            looks = inside_attention.build(engine, form)
            inside_autoencoder.build(engine, generated, at_start)

    form.fields["prompt"].change(cutting, form.fields["prompt"], form.cut, trigger_mode="always_last", **light)
    shown = [*form.errors.values(), stage, status, generated]
    gr.on([form.run.click, form.fields["prompt"].submit], run, form.inputs, shown, trigger_mode="multiple", **heavy)

    def stop(request: gr.Request) -> list[Any]:
        ended = [part.stop(request.session_hash) for part in (latest, looks.latest)]
        return [gr.skip() if asked is None else say("Stopped.") for asked in ended]

    # In the queue, whose updates reach the page in order: those of the ended runs then come before.
    form.stop.click(stop, None, [status, looks.status], concurrency_limit=None, **quiet)
    inside_api.build(engine)


def first_recipe(engine: Engine) -> Recipe:
    """The first view's recipe, for the model that is loaded."""
    recipe, model = examples()[0].sweep.base, engine.model
    if recipe.model == model.name:
        return recipe
    return recipe.replace(model=model.name, width=model.default_side, height=model.default_side)


@lru_cache
def shipped(recipe: Recipe) -> Result | None:
    """The first view's own picture of this recipe, with its latents; None where none was rendered."""
    for path in first_view_files(examples()[0].sweep):
        result = from_png(path.read_bytes())
        if result.recipe == recipe:
            return result
    return None


def line(now: Walk) -> str:
    """Where a walk stands, or what it took, as HTML."""
    took = now.milliseconds
    if now.picture is None:
        return say(f"U-Net call {now.k} of {now.of}." if now.k else "Words are encoded, noise is drawn.")
    parts = (("tokenizer", "tokens"), ("text encoder", "text_encoder"), ("U-Net", "unet"), ("VAE decoder", "decoder"))
    times = ", ".join(f"{name} {milliseconds(took[key])}" for name, key in parts)
    return say(f"Measured in this run: {times}; other visitors' turns in between are not counted.")


def _cut(engine: Engine, prompt: str) -> str:
    """Under the prompt field, while it is typed: how it is read"""
    return "".join(f"<p>{escaped(sentence)}</p>" for sentence in remarks_on(cut(engine.model, prompt)))
