"""Let it guess from here: the section in which the network takes x_t back to a picture, beside the formula's way."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gradio as gr
from PIL import Image

from playground.engine import Done, Engine
from playground.inside.guess import forward, guess
from playground.inside.latent_noise import decoded
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.schedule import plan
from playground.ui.predict_noise.rail import NEWEST, Asked, Rail, Updates, Values
from playground.ui.predict_noise.timeline import Timeline, arrived, columns
from playground.ui.shared.fields import Fields, checked, explain, with_its_scales
from playground.ui.shared.files import FILES
from playground.ui.shared.html import heading, png
from playground.ui.shared.latest import Latest
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.stale import Stale
from playground.ui.shared.sure import Sure, question

FIELDS = ("sampler", "num_inference_steps", "guidance_scale")
GUESS = "guess"  # the error slot of what is about no field
LARGEST = 256  # pixels per side of the timeline's pictures


def build(engine: Engine, rail: Rail, t: gr.Slider) -> None:
    """Builds the section; the picture, its caption, the seed and t are those of the tab."""
    heading(
        "Let it guess from here",
        "Forward and reverse meet: the formula takes the picture to t, the network takes it back with the "
        "caption, step by step. This is image-to-image.",
    )
    fields = _fields(engine, rail)
    sure = Sure("pn-")
    with gr.Row():
        go = gr.Button("Let it guess from here", variant="primary", elem_classes="dp-walk")
        halt = gr.Button("Stop", elem_classes="dp-walk", elem_id="pn-stop")
    ended = gr.HTML(elem_classes=["dp-total", "dp-flush", "dp-aloud"], elem_id="pn-ended")
    with gr.Column(elem_classes="dp-result"):
        stale = Stale()
        guessed = gr.HTML(elem_classes="dp-flush", apply_default_css=False)
    latest = Latest()
    nothing = {guessed: gr.skip()}

    def read(given: Values) -> tuple[Asked, dict[str, str]]:
        """What is asked, and one sentence for each of its fields that is wrong; under GUESS what is about no field."""
        asked, errors = rail.read(given)
        errors.pop("wrong", None)  # no guess is made with it
        recipe, wrong = checked(asked.recipe, {name: given[field] for name, field in fields.components.items()})
        for name in errors:  # what is wrong is said there
            wrong.setdefault(GUESS, f"Mend the field {rail.fields.components[name].label} first.")
        asked = Asked(asked.subject, recipe, asked.wrong)
        if wrong:
            return asked, wrong
        try:
            engine.check(recipe)
            plan(recipe, engine.facts.schedule, given[t])
        except Refusal as problem:
            named = str(problem).split()[0]
            return asked, {named if named in fields.components else GUESS: str(problem)}
        return asked, {}

    def run(given: Values, request: gr.Request) -> Iterator[Updates]:
        asked, wrong = read(given)
        if wrong:
            yield fields.says(wrong)
            return
        page = request.session_hash or ""
        if held := sure.holds(given, asks(given, page), (asked, given[t])):
            yield fields.says({}) | held
            return
        yield from latest.show(page, back_from(asked, given[t], page), (asked, given[t]), nothing)

    def back_from(asked: Asked, t: int, page: str) -> Iterator[Updates]:
        answered = stale.asked((asked, t)) | sure.gone() | fields.says({})  # with the first thing that is shown of it
        try:
            for html in way_back(engine, asked, t, page):
                yield nothing if html is None else {guessed: html, ended: ""} | answered
                answered = {}
        except Refusal as problem:
            yield fields.says({GUESS: str(problem)})

    def mended(given: Values) -> Updates:
        """What was said at the press of the button goes once it no longer holds."""
        wrong = read(given)[1]
        return {slot: "" for name, slot in fields.errors.items() if name not in wrong}

    def would_ask(given: Values) -> Any:
        asked, wrong = read(given)
        return None if wrong else (asked, given[t])

    def asks(given: Values, page: str) -> str:
        """What is asked once more before a guess that would hold the machine for long; empty before others."""
        asked, wrong = read(given)
        if wrong:
            return ""
        recipe = asked.recipe
        left = plan(recipe, engine.facts.schedule, given[t]).steps
        return question(engine, [recipe.replace(num_inference_steps=left)], page, what="guess")

    def stop(request: gr.Request) -> Updates:
        if (stopped := latest.stop(request.session_hash)) is None:
            return nothing
        asked, t = stopped
        steps = f"{asked.recipe.num_inference_steps} {SAMPLERS[asked.recipe.sampler].label} steps"
        return {ended: f"<p>Stopped the guess from t = {t} with {steps}. What it had drawn stays.</p>"}

    guessing = {*rail.inputs, t, *fields.components.values()}
    outputs = [guessed, *fields.errors.values(), ended, *stale.outputs, *sure.outputs]
    gr.on([go.click, *(field.submit for field in fields.one_line)], run, {*guessing, *sure.inputs}, outputs, **NEWEST)
    stale.watch(guessing, would_ask)
    edited = [component.change for component in guessing]
    quiet: dict[str, Any] = {**QUIET, "queue": False, "trigger_mode": "always_last"}
    gr.on(edited, mended, guessing, [*fields.errors.values()], **quiet)
    sure.watch(guessing, asks, would_ask)
    # In the queue, whose updates reach the page in order: one of the ended guess that is under way then comes before.
    halt.click(stop, None, [guessed, ended], concurrency_limit=None, **QUIET)


def way_back(engine: Engine, asked: Asked, t: int, page: str = "") -> Iterator[str | None]:
    """The timeline whenever something on it is new, at last with the result; None for a call that shows nothing new.

    Raises Refusal where the guess fails.
    """
    recipe, x0, started = asked.recipe, asked.subject.x0, time.perf_counter()
    planned = plan(recipe, engine.facts.schedule, t)
    shown = columns(len(planned.levels))
    stands = [planned.levels[k] for k in shown]
    there = [_small(picture) for picture in decoded(engine, forward(x0, recipe, stands), True, page)]
    timeline = Timeline([level.t or 0.0 for level in stands], there)
    yield timeline.html()
    with closing(guess(engine, x0, recipe, t, shown, page)) as events:
        for event in events:
            if isinstance(event, Done):
                timeline = timeline.with_back(len(shown) - 1, _small(event.result.image))
                seconds = time.perf_counter() - started
                found = arrived(asked.subject, event.result, planned, seconds, engine.facts)
                yield timeline.html(found)
            elif pictures := event.kept.pictures:
                timeline = timeline.with_back(shown.index(event.k - 1), *(_small(pictures[x]) for x in ("x_t", "x0")))
                yield timeline.html()
            else:
                yield None


def _fields(engine: Engine, rail: Rail) -> Fields:
    """In one row, each with what is wrong with it below; what is wrong with the guess as a whole stands under them."""
    fields = Fields(rail.fields.start, engine.facts, "pn-")
    help = {"num_inference_steps": "For the whole way from T; only those below t are taken."}
    with gr.Row(elem_classes="dpp-ask"):
        for name in with_its_scales(FIELDS, engine.facts):
            with gr.Column(min_width=160):
                fields.add(name, help.get(name), explained=False, elem_classes="dpp-field")
    explain(fields.components["sampler"], fields.start.sampler)
    fields.slot(GUESS)
    return fields


def _small(picture: Image.Image) -> str:
    """-> URL; reduced where it is larger than it is ever shown"""
    picture = picture.copy()  # others may be given the same one
    picture.thumbnail((LARGEST, LARGEST))
    return FILES.url(png(picture))
