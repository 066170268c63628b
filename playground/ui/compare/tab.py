"""The Compare tab: ask on the left, look on the right, one parameter at a time."""

import random
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from playground.engine import Done, Engine, Keep, Waiting
from playground.inside.grid_film import Films
from playground.recipe import SEED_RANGE
from playground.refusal import Refusal
from playground.render import check_cost, missing, render
from playground.store import Store
from playground.sweep import Sweep
from playground.ui.compare import effects, takeaway
from playground.ui.compare.film import GRID, Asked, GridFilm
from playground.ui.compare.form import Form, Given
from playground.ui.compare.grid import Grid, empty, folded, html, stopped
from playground.ui.compare.opening import examples_for, first_grid, says
from playground.ui.compare.reading import VALUES, Reading, is_number
from playground.ui.shared.endpoint import ENGINE
from playground.ui.shared.latest import Latest, Update
from playground.ui.shared.shipped import SHIPPED, measured_guidance
from playground.ui.shared.words import words_of

HERE = Path(__file__).parent
REDRAW = 0.2  # seconds between two updates of a growing grid, at least
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def build(page: gr.Blocks, engine: Engine, store: Store) -> None:
    """Lay out the tab and wire it, inside a `gr.Tab` of the page."""
    examples = examples_for(engine.facts, engine.check)
    start = examples[0].sweep
    first = first_grid(engine, store, start)
    with gr.Row(elem_classes="dp-columns"):
        with gr.Column(elem_classes="dp-rail"):
            form = Form(start, engine.facts)
        with gr.Column(elem_classes="dp-stage"):
            with gr.Row(elem_classes="dp-examples"):
                chips = [gr.Button(example.title, size="sm", variant="secondary") for example in examples]
            header = gr.HTML(say(start), elem_classes="dp-say")
            cells = gr.HTML(
                html(first), js_on_load=(HERE / "grid.js").read_text(encoding="utf-8"), elem_id="compare-grid"
            )
            total = gr.HTML(_paragraph(says(first)), elem_classes="dp-total", elem_id="total")
            film = GridFilm()
            shown_sweep = gr.State(None)  # of the grid above, once it was run
            effects.build(engine, store, shown_sweep, start)
            takeaway.build(engine, store, shown_sweep, start, form.fill, form.inputs)
    films, latest = Films(engine), Latest()
    film.wire(engine, store, films, shown_sweep, latest)

    def read(given: Given) -> Reading:
        reading = form.read(given)
        try:
            if reading.sweep:
                check_cost(engine, store, reading.sweep.recipes())
        except Refusal as refusal:
            return Reading(None, {VALUES: str(refusal)})
        return reading

    def check(request: gr.Request, given: Given) -> Update:
        reading = read(given)
        return form.fields.says(reading.errors) | {form.cost: cost(engine, store, reading, request.session_hash or "")}

    def run(request: gr.Request, given: Given) -> Iterator[Update]:
        reading, visitor = read(given), request.session_hash or ""
        errors = form.fields.says(reading.errors)
        if reading.sweep is None:
            yield errors
            return
        asked = Asked(GRID, reading.sweep, empty(reading.sweep))
        yield from latest.show(visitor, grow(asked, errors, visitor), asked, {total: gr.skip()})

    def grow(asked: Asked, errors: Update, visitor: str) -> Iterator[Update]:
        begun, sweep, grid = time.perf_counter(), asked.sweep, asked.grid
        recipes, drawn, last = sweep.recipes(), 0.0, -1
        recorder = films.recorder(recipes)
        shown = {header: say(sweep), cells: html(grid), total: _paragraph("Starting …"), shown_sweep: sweep.to_dict()}
        yield errors | shown | film.clear(ready=False)
        try:
            with closing(render(engine, store, recipes, keep=Keep(latents=True), visitor=visitor)) as events:
                for event in events:
                    # Redrawn between two ticks, once for all cells, and not after every tick of a fast model: redrawing
                    # takes the time of server and browser, which on a small machine is also the model's.
                    waiting = isinstance(event, Waiting)
                    if waiting or (event.cell <= last and time.perf_counter() - drawn >= REDRAW):
                        yield {cells: html(grid), total: _paragraph(progress(grid, begun))}
                        drawn = time.perf_counter()
                    grid = folded(grid, event)
                    recorder.take(event)
                    asked = latest.note(visitor, asked, replace(asked, grid=grid))
                    last = -1 if waiting else event.cell
        except Refusal as refusal:
            grid = stopped(grid)
            yield {cells: html(grid), total: _paragraph(str(refusal))} | film.clear(ready=grid.finished > 0)
            return
        told = summary(grid, time.perf_counter() - begun)
        yield {cells: html(grid), total: _paragraph(told)} | film.clear(ready=grid.finished > 0)

    def stop(request: gr.Request) -> Update:
        if (asked := latest.stop(request.session_hash)) is None:
            return {total: gr.skip()}
        if asked.grid is None:  # only its steps were being collected
            return film.clear(ready=True)
        grid = asked.grid
        for i, cell in enumerate(grid.cells):  # also those that finished in this moment
            if cell.open and (result := store.get(cell.recipe, engine.facts.fingerprint_for(cell.recipe))):
                grid = folded(grid, Done(i, result))
        grid = stopped(grid)
        text = f"Stopped with {grid.finished} of {len(grid.cells)} pictures finished and kept"
        text += "; Run continues." if grid.finished < len(grid.cells) else "."
        return {cells: html(grid), total: _paragraph(text)} | film.clear(ready=grid.finished > 0)

    def opened() -> Update:
        now = first_grid(engine, store, start)
        return {cells: html(now), total: _paragraph(says(now))}

    errors = list(form.fields.errors.values())
    # One event for all checks, after a run as well, when more cells are kept: only so is the last one asked the last
    # one answered. Two events may answer in the other order, and an old answer would stand over a new value.
    ran, again = gr.State(0), dict(fn=lambda n: n + 1, queue=False, **PRIVATE)
    checked = [page.load, ran.change, *(c.change for c in form.inputs)]
    checking = (check, set(form.inputs), [*errors, form.cost])
    gr.on(checked, *checking, queue=False, trigger_mode="always_last", **PRIVATE)
    page.load(opened, None, [cells, total], queue=False, **PRIVATE)
    form.axis.change(form.show_editor, form.axis, form.shown_by_axis, queue=False, **PRIVATE)
    seed = form.fields.components["seed"]
    form.new_seed.click(lambda: random.randint(*SEED_RANGE), None, seed, queue=False, **PRIVATE)
    asking: dict[str, Any] = {**ENGINE, **PRIVATE, "trigger_mode": "multiple"}  # `latest` decides between two presses
    running = (run, set(form.inputs), [*errors, header, cells, total, shown_sweep, *film.outputs])
    prompts = [form.fields.components[name].submit for name in ("prompt", "negative_prompt")]
    gr.on([form.run.click, *prompts], *running, **asking).then(inputs=ran, outputs=ran, **again)
    for chip, example in zip(chips, examples, strict=True):
        filled = chip.click(lambda e=example: form.fill(e.sweep), None, form.inputs, queue=False, **PRIVATE)
        filled.then(*running, **asking).then(inputs=ran, outputs=ran, **again)
    # In the queue, whose updates reach the page in order: one of the ended run that is under way then comes before.
    ended = form.stop.click(stop, None, [cells, total, *film.outputs], concurrency_limit=None, **PRIVATE)
    ended.then(inputs=ran, outputs=ran, **again)


def say(sweep: Sweep) -> str:
    """The sentence above the grid, and what to look for."""
    axis = next(iter(sweep.axes))
    look_for = words_of(axis).look_for
    if axis == "guidance_scale" and sweep.base.model == SHIPPED:
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


def progress(grid: Grid, begun: float) -> str:
    text = f"{grid.finished} of {len(grid.cells)} finished · {time.perf_counter() - begun:.1f} s"
    return f"{text} · {sharing(grid.others)}" if grid.others else text


def sharing(others: int) -> str:
    """The number of other visitors' runs -> what a person should know about it."""
    return f"shared fairly with {others} other {'run' if others == 1 else 'runs'}"


def summary(grid: Grid, seconds: float) -> str:
    """What was measured, after the run."""
    text = f"{grid.finished} of {len(grid.cells)} pictures in {seconds:.1f} s. "
    if grid.computed or grid.shared:
        text += f"{grid.computed + grid.shared:,} evaluations, {grid.shared:,} of them shared between cells. "
    kept = sum(c.note.endswith("kept") for c in grid.cells)
    if kept:
        text += f"{kept} kept from an earlier run. "
    return text + "Seconds under a picture are its share of the batched work."


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"
