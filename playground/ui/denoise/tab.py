"""The "Denoise" tab: one run as a film, two runs side by side, guidance taken apart, and the two kinds of steps."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from playground.engine import Engine
from playground.inside.film import KEPT, Ending, check, films
from playground.refusal import Refusal
from playground.ui.denoise import api
from playground.ui.denoise.form import Form, Reading
from playground.ui.denoise.lines import Lines
from playground.ui.shared.endpoint import ENGINE
from playground.ui.shared.files import FILES
from playground.ui.shared.html import heading
from playground.ui.shared.known import known, marks_of_lines, within
from playground.ui.shared.latest import Latest, Update
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.shipped import start_recipe
from playground.ui.shared.stale import Stale
from playground.ui.shared.sure import question

HERE = Path(__file__).parent
SKELETON: str = (HERE / "tab.html").read_text("utf-8")  # a template without placeholders: no text can enter it
# one script of two files: the sections under the film, then the film, which starts both
SCRIPT: str = "".join((HERE / name).read_text("utf-8") for name in ("below.js", "tab.js"))

UPDATE_SECONDS = 0.15  # between two updates of the page; the first comes at once

SAY = (
    "<h2>One run, from noise to picture.</h2><p>At every step the network's answer says which noise is in "
    "x<sub>t</sub>; what is left without that noise is its guess of the picture, x̂₀. What to look for: at which t can "
    "you first tell what x̂₀ will become, and how noisy is x<sub>t</sub> there?</p>"
)


def build(engine: Engine) -> None:
    """Builds the tab and its endpoint; to be called inside `with gr.Tab("Denoise"):` of a gr.Blocks."""
    with gr.Row(elem_classes="dp-columns"):
        with gr.Column(elem_classes="dp-rail"):
            form = Form(start_recipe(engine.facts), engine.facts)
        with gr.Column(elem_classes="dp-stage"):
            gr.HTML(SAY, elem_classes="dp-say")
            with gr.Column(elem_classes="dp-result"):
                stale = Stale()
                stage = gr.HTML(
                    html_template=SKELETON, js_on_load=SCRIPT, apply_default_css=False, elem_classes="dp-flush"
                )
                downloads = _downloads()

    latest = Latest()

    def run(given: dict[gr.components.Component, Any], request: gr.Request) -> Iterator[Update]:
        asked = form.read(given)
        errors = asked.errors or refused(asked)
        if errors:
            yield form.fields.says(errors)
            return
        page = request.session_hash or ""
        if held := form.sure.holds(given, asks(asked, page), asked.recipes):
            yield form.fields.says({}) | held
            return
        yield from latest.show(page, roll(asked, page), asked, {stage: gr.skip()})

    def asks(asked: Reading, page: str) -> str:
        """What is asked once more before films that would hold the machine for long; empty before others."""
        what = "run" if len(asked.recipes) < 2 else "pair of runs"
        return question(engine, asked.recipes, page, KEPT, what) if asked.recipes else ""

    def refused(asked: Reading) -> dict[str, str]:
        """One sentence, beside run A's steps where that run alone cannot be, else beside run B."""
        for slot, recipes in (("num_inference_steps", asked.recipes[:1]), ("second", asked.recipes)):
            try:
                check(engine, recipes)
            except Refusal as refusal:
                return {slot: str(refusal)}
        return {}

    def roll(asked: Reading, page: str) -> Iterator[Update]:
        lines = Lines(engine.facts, asked.recipes, asked.varied)
        clear = gr.DownloadButton(value=None, interactive=False)
        told = form.fields.says({}) | form.sure.gone() | stale.asked(asked.recipes)
        yield told | {stage: lines.text} | dict.fromkeys(downloads, clear)
        updated = 0.0
        try:
            for i, shot in films(engine, asked.recipes, page):
                due = isinstance(shot, Ending) or time.perf_counter() - updated > UPDATE_SECONDS
                if lines.take(i, shot) and due:
                    updated = time.perf_counter()
                    yield {stage: lines.text}
        except Refusal as refusal:
            slot = "second" if asked.varied else "num_inference_steps"
            yield form.fields.says({slot: str(refusal)}) | {stage: lines.text}
            return
        saved = [FILES.path(data, name) for name, data in lines.files().items()]
        ready = [gr.DownloadButton(value=path, interactive=True) for path in saved]
        yield {stage: lines.text} | dict(zip(downloads, ready, strict=True))

    outputs = [*form.fields.errors.values(), *form.sure.outputs, stage, *stale.outputs, *downloads]
    given = {*form.inputs, *form.sure.inputs}
    # nobody pays for a film before this tab is looked at; then it is computed here and now, from the form's recipe
    stage.opened(run, given, outputs, **ENGINE, **QUIET)
    form.beside.change(form.show_second, form.beside, list(form.seconds.values()), queue=False, **QUIET)
    numbers = [field for field in form.seconds.values() if isinstance(field, gr.Number)]
    presses = [form.run.click, *(field.submit for field in [*form.fields.one_line, *numbers])]
    gr.on(presses, run, given, outputs, trigger_mode="multiple", **ENGINE, **QUIET)

    stale.watch(form.inputs, lambda given: form.read(given).recipes)
    form.sure.watch(
        form.inputs, lambda given, page: asks(form.read(given), page), lambda given: form.read(given).recipes
    )

    def marked(given: dict[gr.components.Component, Any]) -> Update:
        """Under each text: what of it the model was never shown, and what it does not read."""
        found = known(engine.facts.name)
        texts = {html: within(given[form.fields.components[name]]) for name, html in form.marks.items()}
        return {html: marks_of_lines([text], [engine.words(text)], found) for html, text in texts.items()}

    texts = [form.fields.components[name] for name in form.marks]
    typed = [text.change for text in texts]
    gr.on(typed, marked, set(texts), [*form.marks.values()], queue=False, trigger_mode="always_last", **QUIET)

    def stop(request: gr.Request) -> None:
        latest.stop(request.session_hash)

    form.stop.click(stop, None, None, queue=False, **QUIET)
    api.build(engine)


def _downloads() -> list[gr.DownloadButton]:
    heading(
        "Take the film away",
        "xₜ and x̂₀ of every step that was kept. GIF opens everywhere and has 256 colours per frame; animated WebP has "
        "all of them; MP4 is for slides and has half the resolution in colour.",
    )
    with gr.Row(elem_classes="dpd-files"):
        return [
            gr.DownloadButton(f"Download {kind}", size="sm", interactive=False, elem_id=f"denoise-{kind.lower()}")
            for kind in ("GIF", "WebP", "MP4")
        ]
