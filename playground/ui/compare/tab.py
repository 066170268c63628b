"""The Compare tab: ask on the left, look on the right."""

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from playground.engine import Engine
from playground.inside.recordings import Recordings
from playground.link import LONGEST, from_token, to_token
from playground.recipe import SEED_RANGE
from playground.refusal import Refusal
from playground.render import facts_of, missing, pictures_of, undrawable
from playground.samplers import SAMPLERS
from playground.store import Store
from playground.sweep import Sweep
from playground.ui.compare import effects, takeaway
from playground.ui.compare.begins import given_pictures
from playground.ui.compare.caption import say
from playground.ui.compare.form import Form, Given
from playground.ui.compare.grid import empty, payload
from playground.ui.compare.models import for_form, is_elsewhere, way_to
from playground.ui.compare.opening import kept_grid, says
from playground.ui.compare.reading import Reading
from playground.ui.compare.running import Running, Stage
from playground.ui.compare.scrubber import GRID, Asked, Scrubber
from playground.ui.compare.telling import cost
from playground.ui.shared.endpoint import ENGINE
from playground.ui.shared.fields import LABELS
from playground.ui.shared.html import error, escaped
from playground.ui.shared.known import surprise
from playground.ui.shared.latest import Latest, Update
from playground.ui.shared.offered import examples_for
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.spoken import spoken
from playground.ui.shared.sure import question

HERE = Path(__file__).parent
FRAME: str = (HERE / "board.html").read_text("utf-8")  # a template without placeholders: no text can enter it
# one script of several files, because they share the grid that is drawn; the last one starts it
PARTS = ("board.js", "keys.js", "dialog.js", "blind.js", "seen.js", "address.js")
# The token of the address, or of a grid too long for one, which the browser keeps beside the address: a reload and the
# buttons Back and Forward have it, a copied link has not.
TOKEN = "() => new URLSearchParams(location.search).get('grid') ?? window.history.state?.grid ?? ''"
SCRIPT: str = f"const tokenHere = {TOKEN};\n" + "".join((HERE / name).read_text("utf-8") for name in PARTS)
WORDS = {"fields": LABELS, "samplers": {key: row.label for key, row in SAMPLERS.items()}, "longest": LONGEST}


def build(page: gr.Blocks, engine: Engine, store: Store) -> gr.State:
    """Lay out the tab and wire it, inside a `gr.Tab` of the page. Gives a value that changes after every run."""
    examples = examples_for(engine.facts, engine.check)
    start, usual = examples[0].sweep, engine.facts.usual
    first, recordings = kept_grid(engine, store, start), Recordings(engine)
    with gr.Row(elem_classes="dp-columns"):
        with gr.Column(elem_classes="dp-rail"):
            form = Form(start, engine.facts)
        with gr.Column(elem_classes="dp-stage"):
            with gr.Row(elem_classes="dp-examples"):
                gr.HTML('<span class="dp-quiet">Examples</span>', elem_classes="dp-flush")
                chips = [
                    gr.Button(example.title, size="sm", elem_id=f"example-{example.sweep.digest()}")
                    for example in examples
                ]
                undo = gr.Button("Undo", size="sm", visible=False, elem_id="undo")
            header = gr.HTML(say(start, engine.facts), elem_classes="dp-say")
            cells = gr.HTML(payload(first), html_template=FRAME, js_on_load=SCRIPT, words=WORDS, elem_id="compare-grid")
            total = gr.HTML(_first(says(engine.facts, first)), elem_classes="dp-total", elem_id="total")
            form.predict.place()
            scrubber = Scrubber(offered=not engine.facts.whole)
            shown_sweep = gr.State(start.flat.to_dict())  # of the grid above; several seeds per cell are an axis here
            stage = Stage(header, cells, total, shown_sweep, scrubber)
            hides = effects.build(engine, store, shown_sweep, start.flat)
            named = takeaway.build(engine, store, shown_sweep, start.flat, form.fill, form.filled, recordings)
    latest = Latest()
    running = Running(engine, store, recordings, stage, latest)
    scrubber.wire(engine, store, recordings, shown_sweep, latest)
    form.predict.wire(engine, takeaway.finder(engine, store, start.flat))

    def read(given: Given) -> Reading:
        reading = form.read(given)
        reading = replace(reading, beyond=form.beyond(engine, given, reading))
        try:
            if reading.sweep:
                sweep = for_form(engine, reading.sweep)
                parsed = {key: sweep.axes.get(key, values) for key, values in reading.parsed.items()}
                reading = replace(reading, sweep=sweep, parsed=parsed)
                undrawable(engine, sweep.recipes())
        except Refusal as refusal:
            return replace(reading, sweep=None, errors={form.slot_of(str(refusal), given): spoken(str(refusal))})
        left = missing(engine, store, reading.sweep.recipes()) if reading.sweep else []
        try:  # after what the model says, so that nobody is sent for a picture that it could not use
            pictures_of(store, left)
        except Refusal as refusal:
            return replace(reading, sweep=None, errors={"image": str(refusal)})
        return replace(reading, left=left)

    def asking(reading: Reading, visitor: str) -> tuple[str, str]:
        """What is asked once more before the run, and what it is about."""
        about = reading.sweep.digest() if reading.sweep else ""
        return question(engine, reading.left, visitor, what="grid"), about

    def check(request: gr.Request, given: Given) -> Update:
        reading, visitor = read(given), request.session_hash or ""
        return {
            **form.told(reading),
            **form.marked(engine, given, reading),
            form.cost: cost(engine, reading.sweep, reading.left, visitor),
            **form.sure.tells(given, *asking(reading, visitor)),
            **form.begins.tells(store, given, reading.sweep),
            **form.control.tells(store, given, reading.sweep),
            **form.predict.tells(given, reading.sweep, engine.facts),
        }

    def run(request: gr.Request, given: Given) -> Iterator[Update]:
        reading, visitor = read(given), request.session_hash or ""
        held = form.sure.holds(given, *asking(reading, visitor))
        if reading.sweep is None or held:
            yield form.told(reading) | held
            return
        sweep = reading.sweep
        grid = empty(
            sweep,
            token=to_token(sweep, usual),
            own=True,
            begins=given_pictures(store, sweep),
            facts_of=facts_of(engine),
        )
        asked = Asked(GRID, sweep.digest(), grid)
        told = form.told(reading) | form.sure.gone() | form.predict.begins(given, sweep)
        yield from latest.show(visitor, running.grow(asked, told, visitor), asked, {total: gr.skip()})

    def opened(sweep: Sweep, request: gr.Request) -> Update:
        """The form asks for this sweep, and the grid shows what is kept of it; what ran for this page has ended."""
        if is_elsewhere(engine, sweep):
            elsewhere = f"This grid is of {sweep.base.model}, which has a page of its own."
            return {total: f"<p>{escaped(elsewhere)} {way_to(engine, sweep)}</p>"}
        sweep = for_form(engine, sweep)
        filled = form.fill(sweep)
        undrawable(engine, sweep.recipes())
        pictures_of(store, missing(engine, store, sweep.recipes()))
        latest.stop(request.session_hash)
        now = kept_grid(engine, store, sweep)
        ready = not missing(engine, store, sweep.recipes())
        return filled | form.predict.clear() | stage.shows(now, engine.facts, _first(says(engine.facts, now)), ready)

    def opened_link(token: str, request: gr.Request) -> Update:
        try:
            return opened(from_token(token, usual) if token else start, request)
        except Refusal as refusal:
            return {total: error(str(refusal))}

    def arrived(token: str, request: gr.Request) -> Update:
        """The page is opened: with the grid of its address, or else with the first one, as far as it is kept now."""
        if token:
            return opened_link(token, request)
        now = kept_grid(engine, store, start)
        return {cells: payload(now), total: _first(says(engine.facts, now))}

    def try_example(sweep: Sweep, given: Given) -> Update:
        earlier = form.read(given).sweep
        can = earlier is not None and earlier.digest() != sweep.digest()
        return form.fill(sweep) | {before: earlier.to_dict() if can else None, undo: gr.update(visible=can)}

    def undone(sweep: dict[str, Any] | None, request: gr.Request) -> Update:
        back = opened(Sweep.from_dict(sweep), request) if sweep else {}
        return back | {undo: gr.update(visible=False)}

    told = [*form.fields.errors.values(), *form.axes.says.values(), form.everything_else]
    told += [part.section for part in (form.begins, form.control) if part.image]
    shown = [*form.filled, *stage.outputs, *form.predict.begun]
    given = {*form.inputs, *form.predict.given, *form.sure.inputs}
    # One event for all checks, after a run as well, when more cells are kept: only so is the last one asked the last
    # one answered. Two events may answer in the other order, and an old answer would stand over a new value.
    ran = gr.State(0)
    before = gr.State(None)  # what the form asked for before an example
    # in the queue, because only its answers tell the page that a state has changed
    recheck: dict[str, Any] = {
        "fn": lambda n: n + 1,
        "inputs": ran,
        "outputs": ran,
        "concurrency_limit": None,
        **QUIET,
    }
    checked = [page.load, ran.change, *(c.change for c in form.inputs), form.predict.what.input]
    answers = [*told, *form.marks.values(), form.cost, *form.sure.outputs]
    answers += [*form.begins.told, *form.control.told, *form.predict.told]
    gr.on(checked, check, given, answers, queue=False, trigger_mode="always_last", **QUIET)
    here = gr.Textbox(visible=False)  # the token that the address has
    opens = page.load(arrived, here, shown, js=TOKEN, queue=False, **QUIET)
    opens.then(**named).then(**recheck)
    # A grid of the browser's history, or one to which its buttons Back and Forward lead, which people press twice. Not
    # in the queue: it loses an event that comes while the answer to another one ends the page's stream of answers. Of
    # presses during one answer the last is asked for after it, with the token that the address has then.
    led = cells.address(opened_link, here, shown, js=TOKEN, queue=False, trigger_mode="always_last", **QUIET)
    led.then(**named).then(**hides)
    cells.seen(running.seen, queue=False, **QUIET)

    axes = form.axes
    chosen = [component.change for component in axes.slots.values()]
    gr.on(chosen, axes.show, given, form.shown, queue=False, trigger_mode="always_last", **QUIET)
    arranging = [(axes.add, axes.added), (axes.swap, axes.swapped)]
    arranging += [(button, partial(axes.removed, slot)) for slot, button in axes.remove.items()]
    for button, arranged in arranging:
        button.click(arranged, given, form.shown, queue=False, **QUIET).then(**recheck)
    form.begins.wire(store)
    form.control.wire(store, form.fields.components["width"], form.fields.components["height"])
    seed = form.fields.components["seed"]
    if form.surprise:
        prompt = form.fields.components["prompt"]
        form.surprise.click(lambda: surprise(form.known, random.Random()), None, prompt, queue=False, **QUIET)
    form.new_seed.click(lambda: random.randint(*SEED_RANGE), None, seed, queue=False, **QUIET)

    pressed: dict[str, Any] = {**ENGINE, **QUIET, "trigger_mode": "multiple"}  # `latest` decides between two presses
    to_run = (run, given, [*told, *form.sure.outputs, *stage.outputs, *form.predict.begun])
    ended = form.predict.after(shown_sweep)
    gr.on([form.run.click, *(c.submit for c in form.one_line)], *to_run, **pressed).then(**ended).then(**recheck)
    for chip, example in zip(chips, examples, strict=True):
        filled = chip.click(
            partial(try_example, example.sweep), given, [*form.filled, before, undo], queue=False, **QUIET
        )
        filled.then(*to_run, **pressed).then(**ended).then(**recheck)
    undo.click(undone, before, [*shown, undo], **QUIET).then(**recheck)
    # In the queue, whose updates reach the page in order: one of the ended run that is under way then comes before.
    form.stop.click(running.stop, None, stage.ends, concurrency_limit=None, **QUIET).then(**recheck)
    return ran


def _first(text: str) -> str:
    """What is said of a grid that nobody has just run; it goes with the first edit of the form, of which it speaks."""
    return f'<p class="dp-first">{escaped(text)}</p>'
