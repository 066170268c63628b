"""The "Predict noise" tab: what the network is asked, what it answers, and where its answers lead. /predict_noise."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from playground import pictures
from playground.engine import PREPARING, Engine
from playground.refusal import Refusal
from playground.schedule import is_flow, prediction_type
from playground.ui.predict_noise import api, curve, guessing
from playground.ui.predict_noise.rail import NEWEST, SAMPLES, Rail, Subject, Updates, Values
from playground.ui.predict_noise.stage import empty, lead
from playground.ui.predict_noise.stage import stage as answered
from playground.ui.shared.events import picked
from playground.ui.shared.fields import slot
from playground.ui.shared.html import error
from playground.ui.shared.latest import Latest
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.refused import says_refusals

# The curve is not paid for before somebody looks; the stage may have been there before.
ON_LOAD = "if (!document.querySelector('.dpp-found b')) trigger(element.querySelector('img') ? 'opened' : 'bare')"


def build(engine: Engine) -> Callable[[], None]:
    """Builds the tab; to be called inside `with gr.Tab("Predict noise"):` of a gr.Blocks.

    Returns what asks the first question, so that the answer stands there for whoever comes after it.
    """
    with gr.Row(elem_classes="dp-columns"):
        with gr.Column(scale=0, min_width=340, elem_classes="dp-rail"):
            rail = Rail(engine)
        with gr.Column(scale=1, min_width=320, elem_classes=["dp-stage", "dp-column"]):
            gr.HTML(lead(prediction_type(engine.facts.schedule)), elem_classes="dp-flush", apply_default_css=False)
            t = _slider(engine.facts.total_timesteps, is_flow(engine.facts.schedule))
            t_error = slot()
            stage = gr.HTML(
                empty(), js_on_load=ON_LOAD, elem_classes="dp-flush", apply_default_css=False, elem_id="pn-stage"
            )
            measured = curve.build(engine, rail)
            guessing.build(engine, rail, t)

    def asked(given: Values, visitor: str = "") -> Updates:
        """The stage, and the sentences under the fields; on bad input the stage stays."""
        what, errors = rail.read(given)
        if errors:
            return rail.fields.says(errors)
        try:
            return rail.fields.says({}) | {stage: answered(engine, what, given[t], visitor), t_error: error()}
        except Refusal as problem:
            return rail.fields.says({}) | {t_error: error(str(problem))}

    def ask(given: Values, request: gr.Request) -> Updates:
        return asked(given, request.session_hash or "")

    latest = Latest()  # of two pictures that are chosen quickly the last one is shown
    nothing = {stage: gr.skip()}

    def take(page: str | None, given: Values, caption: str, look: Callable[[], Subject]) -> Updates:
        """Another picture takes the place of the one on the stage, unless it is refused."""

        @says_refusals(rail.upload_error)
        def taken() -> Updates:
            new = {rail.subject: look(), rail.caption: caption}
            return new | {rail.upload_error: error()} | asked({**given, **new}, page or "")

        return latest.answer(page, taken, nothing)

    def choose(given: Values, request: gr.Request, event: gr.EventData) -> Updates:
        index = picked(event, len(SAMPLES))
        if index is None:
            return nothing
        return take(request.session_hash, given, SAMPLES[index][2], lambda: rail.sample(index))

    def uploaded(given: Values, request: gr.Request) -> Updates:
        path, side, page = given[rail.upload] or "", engine.facts.side, request.session_hash
        updates = take(page, given, "", lambda: rail.look(pictures.open_picture(path, side), page or ""))
        return updates | {rail.chooser: gr.Gallery(selected_index=None)} if rail.subject in updates else updates

    asking = {t, *rail.inputs}
    shown = [stage, t_error, *rail.fields.errors.values()]
    new = [rail.subject, rail.caption, rail.upload_error, *shown]
    # Without the queue: one call of the network must not wait behind someone's grid.
    light: dict[str, Any] = {"queue": False, **QUIET}
    selected = rail.chooser.select(choose, asking, new, trigger_mode="multiple", **light)
    sent = rail.upload.upload(uploaded, {rail.upload, *asking}, [rail.chooser, *new], trigger_mode="multiple", **light)
    typed = [component.change for component in (t, rail.caption, rail.wrong, rail.seed)]
    gr.on(typed, ask, asking, shown, trigger_mode="always_last", **light)
    for event in (selected, sent):
        event.then(*measured, **NEWEST)
    stage.opened(*measured, **NEWEST)
    stage.bare(ask, asking, shown, **light).then(*measured, **NEWEST)
    api.build(engine)

    def begin() -> None:
        stage.value = asked({component: component.value for component in asking}, PREPARING).get(stage, stage.value)

    return begin


def _slider(timesteps: int, flow: bool) -> gr.Slider:
    t = gr.Slider(
        0,
        timesteps - 1,
        value=timesteps // 2,
        step=1,
        label="Timestep t",
        info="0 is the picture." if flow else "0 is nearly the picture.",
        buttons=[],
        elem_classes="dpp-field",
        elem_id="pn-t",
    )
    t.preprocess = lambda typed: typed  # Gradio's answers a typed 5000 with an error 500; ours with a sentence
    return t
