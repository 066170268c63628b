"""The Compare tab: ask on the left, look on the right, one parameter at a time."""

import random
import time
from collections.abc import Iterator
from copy import deepcopy
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from playground.engine import Done, Engine, Waiting
from playground.inside.grid_film import Films, Recorder
from playground.recipe import SEED_RANGE
from playground.render import check_cost, missing, render
from playground.store import Store
from playground.sweep import Sweep
from playground.ui.compare.film import GRID, Asked, GridFilm
from playground.ui.compare.form import Form
from playground.ui.compare.grid import Grid
from playground.ui.compare.reading import VALUES, Reading, is_number
from playground.ui.shared.endpoint import ENGINE
from playground.ui.shared.latest import Latest
from playground.ui.shared.shipped import examples, first_view, measured_guidance
from playground.ui.shared.words import words_of

HERE = Path(__file__).parent
REDRAW = 0.2  # seconds between two updates of a growing grid, at least
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def build(page: gr.Blocks, engine: Engine, store: Store) -> None:
    """Lay out the tab and wire it, inside a `gr.Tab` of the page."""
    shipped = examples(engine.model.loras.names)
    start = shipped[0].sweep
    with gr.Row(elem_classes="dp-columns"):
        with gr.Column(elem_classes="dp-rail"):
            form = Form(start, engine.model.loras.names)
        with gr.Column(elem_classes="dp-stage"):
            with gr.Row(elem_classes="dp-examples"):
                chips = [gr.Button(example.title, size="sm", variant="secondary") for example in shipped]
            header = gr.HTML(say(start), elem_classes="dp-say")
            grid = gr.HTML(
                first_view(start), js_on_load=(HERE / "grid.js").read_text(encoding="utf-8"), elem_id="compare-grid"
            )
            total = gr.HTML(_earlier(), elem_classes="dp-total", elem_id="total")
            film = GridFilm()
    shown_sweep = gr.State(None)  # for the scrubber
    films, latest = Films(engine), Latest()
    film.wire(engine, store, films, shown_sweep, latest)

    def read(values: tuple[Any, ...]) -> Reading:
        reading = form.read(values)
        try:
            if reading.sweep:
                check_cost(engine, store, reading.sweep.recipes())
        except ValueError as error:
            return Reading(None, {VALUES: str(error)})
        return reading

    def check(request: gr.Request, *values: Any) -> list[Any]:
        reading = read(values)
        return [*form.error_html(reading), cost(engine, store, reading, request.session_hash or "")]

    unchanged = [gr.skip()] * len(film.outputs)

    def run(request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        reading, page = read(values), request.session_hash or ""
        errors = form.error_html(reading)
        if reading.sweep is None:
            yield [*errors, *[gr.skip()] * 4, *unchanged]
            return
        view = Grid(reading.sweep)
        updates, asked = grow(view, errors, page), Asked(GRID, reading.sweep, view)
        yield from latest.show(page, updates, asked, len(outputs))

    def grow(view: Grid, errors: list[str], page: str) -> Iterator[list[Any]]:
        begun, recipes = time.perf_counter(), view.sweep.recipes()
        shown, recorder = [*errors, say(view.sweep)], films.recorder(recipes)
        yield [*shown, view.html(), _paragraph("Starting …"), view.sweep.to_dict(), *film.clear(ready=False)]
        shown = [gr.skip()] * len(shown)
        for _ in _by_tick(render(engine, store, recipes, latents=True, visitor=page), view, recorder):
            yield [*shown, view.html(), _paragraph(progress(view, begun)), gr.skip(), *unchanged]
        told = _paragraph(summary(view, time.perf_counter() - begun))
        yield [*shown, view.html(), told, gr.skip(), *film.clear(ready=view.finished > 0)]

    stopped = [grid, total, *film.outputs]

    def stop(request: gr.Request) -> list[Any]:
        if (asked := latest.stop(request.session_hash)) is None:
            return [gr.skip()] * len(stopped)
        if asked.view is None:  # only its steps were being collected
            return [gr.skip(), gr.skip(), *film.clear(ready=True)]
        view = deepcopy(asked.view)  # the ended run may still take events into its own
        for i, cell in enumerate(view.cells):  # also those that finished in this moment
            if cell.state in ("waiting", "running"):
                if result := store.get(cell.recipe, engine.model.fingerprint_for(cell.recipe)):
                    view.take(Done(i, result))
        view.stop()
        text = f"Stopped with {view.finished} of {len(view.cells)} pictures finished and kept"
        text += "; Run continues." if view.finished < len(view.cells) else "."
        return [view.html(), _paragraph(text), *film.clear(ready=view.finished > 0)]

    checked = [*form.errors.values(), form.cost]
    gr.on(
        [c.change for c in form.inputs], check, form.inputs, checked, queue=False, trigger_mode="always_last", **PRIVATE
    )
    page.load(lambda: first_view(start), None, grid, queue=False, **PRIVATE)
    page.load(check, form.inputs, checked, queue=False, **PRIVATE)
    form.axis.change(form.show_editor, form.axis, form.shown_by_axis, queue=False, **PRIVATE)
    form.new_seed.click(lambda: random.randint(*SEED_RANGE), None, form.fields["seed"], queue=False, **PRIVATE)
    asking: dict[str, Any] = {**ENGINE, **PRIVATE, "trigger_mode": "multiple"}  # `latest` decides between two presses
    outputs = [*form.errors.values(), header, grid, total, shown_sweep, *film.outputs]
    checking = (check, form.inputs, checked)  # after a run as well, when more cells are kept
    presses = [form.run.click, form.fields["prompt"].submit, form.fields["negative_prompt"].submit]
    gr.on(presses, run, form.inputs, outputs, **asking).then(*checking, queue=False, **PRIVATE)
    for chip, example in zip(chips, shipped, strict=True):
        filled = chip.click(lambda e=example: form.fill(e.sweep), None, form.inputs, queue=False, **PRIVATE)
        ran = filled.then(run, form.inputs, outputs, **asking)
        ran.then(*checking, queue=False, **PRIVATE)
    # In the queue, whose updates reach the page in order: one of the ended run that is under way then comes before.
    ended = form.stop.click(stop, None, stopped, concurrency_limit=None, **PRIVATE)
    ended.then(*checking, queue=False, **PRIVATE)


def say(sweep: Sweep) -> str:
    """The sentence above the grid, and what to look for."""
    axis = next(iter(sweep.axes))
    look_for = words_of(axis).look_for
    if axis == "guidance_scale" and sweep.base.model == "pocket":
        look_for += f" {measured_guidance()}"
    return f"<h2>{escape(words_of(axis).header)}</h2><p>{escape(look_for)}</p>"


def cost(engine: Engine, store: Store, reading: Reading, page: str = "") -> str:
    """The parsed values, and what the run would take in the place of this page's own; shown before it."""
    if reading.sweep is None:
        return _paragraph("Nothing runs until every field is right.")
    recipes = reading.sweep.recipes()
    open_cells = missing(engine, store, recipes)
    evaluations, outlook = sum(r.evaluations for r in recipes), engine.outlook(open_cells, page)
    kept = len(recipes) - len(open_cells)
    parts = [f"<strong>{len(recipes)} pictures</strong>" + (f" ({kept} kept)" if kept else "")]
    parts.append(f"{evaluations:,} U-Net evaluations")
    if not open_cells:
        parts.append("nothing left to compute")
    elif outlook.seconds is not None:
        parts.append(f"about {outlook.seconds:.1f}\u00a0s")
        if outlook.others:
            parts.append(sharing(outlook.others))
    axis, values = next(iter(reading.sweep.axes.items()))
    listed = f"{len(values)} values: {', '.join(f'{v:.15g}' for v in values)}<br>" if is_number(axis) else ""
    return f"<p>{listed}{' · '.join(parts)}</p>"


def progress(view: Grid, begun: float) -> str:
    text = f"{view.finished} of {len(view.cells)} finished · {time.perf_counter() - begun:.1f} s"
    return f"{text} · {sharing(view.others)}" if view.others else text


def sharing(others: int) -> str:
    """The number of other visitors' runs -> what a person should know about it."""
    return f"shared fairly with {others} other {'run' if others == 1 else 'runs'}"


def summary(view: Grid, seconds: float) -> str:
    """What was measured, after the run."""
    text = f"{view.finished} of {len(view.cells)} pictures in {seconds:.1f} s. "
    if view.computed or view.shared:
        text += f"{view.computed + view.shared:,} evaluations, {view.shared:,} of them shared between cells. "
    kept = sum(c.note.endswith("kept") for c in view.cells)
    if kept:
        text += f"{kept} kept from an earlier run. "
    return text + "Seconds under a picture are its share of the batched work."


def _by_tick(events: Iterator[Any], view: Grid, recorder: Recorder) -> Iterator[None]:
    """Hand every event on, and yield between two ticks, where the page is redrawn once for all cells.

    Not after every tick of a fast model: redrawing takes the time of server and browser, which on a small machine is
    also the model's.
    """
    latest, drawn = -1, 0.0
    for event in events:
        if isinstance(event, Waiting) or (event.cell <= latest and time.perf_counter() - drawn >= REDRAW):
            yield
            drawn = time.perf_counter()
        view.take(event)
        recorder.take(event)
        latest = -1 if isinstance(event, Waiting) else event.cell


def _earlier() -> str:
    return _paragraph("Rendered earlier by this model, with the recipe in the form. Run renders it here and now.")


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"
