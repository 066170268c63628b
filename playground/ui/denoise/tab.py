"""The "Denoise" tab: one run as a film, two runs side by side, guidance taken apart, and the two kinds of steps."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from playground.engine import Engine
from playground.inside.film import Ending, check, films
from playground.recipe import Recipe
from playground.ui.denoise import api as denoise_api
from playground.ui.denoise.film import Lines
from playground.ui.denoise.form import Form
from playground.ui.shared.endpoint import ENGINE
from playground.ui.shared.files import FILES
from playground.ui.shared.html import first_line
from playground.ui.shared.latest import Latest
from playground.ui.shared.shipped import examples

HERE = Path(__file__).parent
SKELETON: str = (HERE / "tab.html").read_text("utf-8")  # a template without placeholders: no text can enter it
# one script of two files: the sections under the film, then the film, which starts both
SCRIPT: str = "".join((HERE / name).read_text("utf-8") for name in ("below.js", "tab.js"))

UPDATE_SECONDS = 0.15  # between two updates of the page; the first comes at once
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

SAY = (
    "<h2>One run, from noise to picture.</h2><p>At every step the network is asked which noise it sees in "
    "x<sub>t</sub>; what is left without that noise is its guess of the picture, x̂₀. What to look for: at which t can "
    "you first tell what x̂₀ will become, and how noisy is x<sub>t</sub> there?</p>"
)


def start_recipe(engine: Engine) -> Recipe:
    """The recipe of the page's first view, for the model that is loaded."""
    base = examples()[0].sweep.base
    if engine.model.name == base.model:
        return base
    return base.replace(model=engine.model.name, width=engine.model.default_side, height=engine.model.default_side)


def build(engine: Engine) -> None:
    """Builds the tab and its endpoint; to be called inside `with gr.Tab("Denoise"):` of a gr.Blocks."""
    with gr.Row(elem_classes="dp-columns"):
        with gr.Column(elem_classes="dp-rail"):
            form = Form(start_recipe(engine))
        with gr.Column(elem_classes="dp-stage"):
            gr.HTML(SAY, elem_classes="dp-say")
            stage = gr.HTML(html_template=SKELETON, js_on_load=SCRIPT, apply_default_css=False, elem_classes="dp-flush")
            with gr.Row(elem_classes="dpd-files"):
                downloads = [
                    gr.DownloadButton(
                        f"Download {kind}", size="sm", interactive=False, elem_id=f"denoise-{kind.lower()}"
                    )
                    for kind in ("GIF", "WebP", "MP4")
                ]
            gr.HTML(
                "<p>GIF opens everywhere and has 256 colours per frame; animated WebP has all of them; MP4 is for "
                "slides and has half the resolution in colour.</p>",
                elem_classes="dp-total",
            )

    latest = Latest()

    def run(request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        reading = form.read(values)
        errors = dict(reading.errors)
        for slot, recipes in (("num_inference_steps", reading.recipes[:1]), ("second", reading.recipes)):
            try:
                check(engine, recipes)
            except ValueError as error:
                errors[slot] = str(error)
                break
        if errors:
            yield [*form.error_html(errors), gr.skip(), *unsaved]
            return
        asked = reading.recipes, reading.varied
        yield from latest.show(request.session_hash, roll(*asked), asked, len(outputs))

    def roll(recipes: Sequence[Recipe], varied: str | None) -> Iterator[list[Any]]:
        lines = Lines(engine, recipes, varied)
        clear = [gr.DownloadButton(value=None, interactive=False)] * len(downloads)
        yield [*form.error_html({}), lines.text, *clear]
        rest, updated = [gr.skip()] * len(form.errors), 0.0
        try:
            for i, shot in films(engine, recipes):
                due = isinstance(shot, Ending) or time.perf_counter() - updated > UPDATE_SECONDS
                if lines.take(i, shot) and due:
                    updated = time.perf_counter()
                    yield [*rest, lines.text, *unsaved]
        except (FloatingPointError, RuntimeError) as problem:
            failed = form.error_html({"second" if varied else "guidance_scale": first_line(problem)})
            yield [*failed, lines.text, *unsaved]
            return
        saved = [FILES.path(data, name) for name, data in lines.files().items()]
        yield [*rest, lines.text, *(gr.DownloadButton(value=path, interactive=True) for path in saved)]

    unsaved = [gr.skip()] * len(downloads)
    outputs = [*form.errors.values(), stage, *downloads]
    # nobody pays for a film before this tab is looked at; then it is computed here and now, from the form's recipe
    stage.opened(run, form.inputs, outputs, **ENGINE, **PRIVATE)
    form.beside.change(form.show_second, form.beside, list(form.seconds.values()), queue=False, **PRIVATE)
    presses = [form.run.click, form.fields["prompt"].submit, form.fields["negative_prompt"].submit]
    gr.on(presses, run, form.inputs, outputs, trigger_mode="multiple", **ENGINE, **PRIVATE)

    def stop(request: gr.Request) -> None:
        latest.stop(request.session_hash)

    form.stop.click(stop, None, None, queue=False, **PRIVATE)
    denoise_api.build(engine)
