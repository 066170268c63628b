"""One scrubber for the whole grid: every cell at the same point of its run, and how far the cells are apart there."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
from PIL import Image

from playground.engine import Engine
from playground.export.viewer import FRAMES
from playground.inside.recordings import Recording, Recordings, apart
from playground.inside.strips import drawn_strips
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.render import is_kept, pictures_of
from playground.store import Store
from playground.sweep import Sweep
from playground.ui.compare.grid import Grid
from playground.ui.shared.endpoint import ENGINE
from playground.ui.shared.files import FILES
from playground.ui.shared.latest import Latest, Update
from playground.ui.shared.quiet import QUIET

HERE = Path(__file__).parent
EMPTY = pd.DataFrame({"share": [], "distance": []})
CURVE_NEEDS = 2  # cells of one size
ABOVE = 1.1  # of the largest distance, so that its point does not lie on the edge
GRID, STEPS = "grid", "steps"


@dataclass(frozen=True)
class Asked:
    """What the latest run of the Compare tab is about."""

    what: str  # GRID or STEPS
    sweep: str  # its digest
    grid: Grid | None = field(default=None, compare=False)  # as far as it has grown


class Scrubber:
    """The components under the grid; `clear` gives their values when another grid takes its place."""

    def __init__(self, offered: bool = True) -> None:
        """`offered`: the model's runs can be looked into."""
        self._offered = offered
        self.ask = gr.Button("Step through this grid", size="sm", visible=False, elem_id="film-ask")
        script = FRAMES + (HERE / "scrubber.js").read_text(encoding="utf-8")
        self.bar = gr.HTML("", js_on_load=script, elem_id="grid-film")
        self.curve = gr.LinePlot(
            EMPTY,
            x="share",
            y="distance",
            x_title="share of the run, %",
            y_title="distance of two x̂₀",
            height=200,
            visible=False,
            elem_id="film-curve",
        )
        self.outputs = [self.ask, self.bar, self.curve]

    def clear(self, ready: bool) -> Update:
        """`ready`: a finished grid stands above, whose runs can be stepped through."""
        return {
            self.ask: gr.update(visible=ready and self._offered),
            self.bar: "",
            self.curve: gr.update(value=EMPTY, visible=False),
        }

    def wire(self, engine: Engine, store: Store, recordings: Recordings, shown_sweep: gr.State, latest: Latest) -> None:
        """`latest` is that of the grid above, so that Stop ends this too and another grid is not written over."""
        nothing: Update = {self.bar: gr.skip()}

        def show(request: gr.Request, shown: dict[str, Any] | None) -> Iterator[Update]:
            if shown is None:  # forgotten by the server, after hours without a word from the page
                yield {self.bar: _paragraph("Run the grid again; then its steps can be shown.")}
                return
            sweep = Sweep.from_dict(shown)
            updates = collect(sweep.recipes(), request.session_hash or "")
            yield from latest.show(request.session_hash, updates, Asked(STEPS, sweep.digest()), nothing)

        def collect(recipes: list[Recipe], visitor: str) -> Iterator[Update]:
            yield {self.ask: gr.update(visible=False), self.bar: _paragraph("Collecting the steps …")}
            try:
                kept = [recipe for recipe in recipes if is_kept(engine, store, recipe)]
                starts = pictures_of(store, [recipe for recipe in kept if recordings.get(recipe) is None])
                for done, total in recordings.record(kept, starts, visitor):
                    if done % 8 == 0:
                        text = f"Running kept cells once more for their steps: {done} of {total}"
                        yield {self.bar: _paragraph(text)}
                found = [recordings.get(recipe) for recipe in recipes]
                if not any(found):
                    raise Refusal("There are no steps to show; run the grid again.")
                drawn: dict[int, Image.Image] = {}
                for place, strip in drawn_strips(engine, recipes, found, visitor):
                    drawn[place] = strip
                    yield nothing  # where Stop can end it
            except Refusal as refusal:
                yield {self.ask: gr.update(visible=True), self.bar: _paragraph(str(refusal))}
                return
            pictures = [drawn[place] for place in sorted(drawn)]
            yield {self.bar: bar(recipes, found, pictures, drawn_by(engine, recipes)), self.curve: curve(found)}

        self.ask.click(show, shown_sweep, self.outputs, trigger_mode="multiple", **ENGINE, **QUIET)


def drawn_by(engine: Engine, recipes: list[Recipe]) -> str:
    """What drew the strips; a model that draws whole pictures has none."""
    facts = [engine.of(recipe.model).facts for recipe in recipes]
    quick = {each.quick_previews for each in facts if not each.whole}
    whose = "the models' VAEs and quick decoders" if len(quick) > 1 else ""
    return whose or ("the quick decoder" if quick == {True} else "the VAE")


def bar(recipes: list[Recipe], recordings: list[Recording | None], pictures: list[Image.Image], by: str) -> str:
    """The scrubber's HTML; what the script needs is in its data, as numbers and addresses of picture strips.

    `pictures` are two strips, x̂₀ and x_t, for each recording that is there; `by` is what drew them.
    """
    found, strip = [recording for recording in recordings if recording], iter(pictures)
    cells = [None if recording is None else _cell(recording, next(strip), next(strip)) for recording in recordings]
    most = max(len(recording.calls) for recording in found)
    calls = {recipe.steps_run for recipe in recipes}
    note = "The cells have runs of different length, so each stands at the same share of its own run."
    if len(calls) == 1 and len({recording.of for recording in found}) == 1:
        note = "All cells stand at the same step."
        if len({tuple(recording.calls) for recording in found}) > 1:  # fewer are kept where a VAE must draw them
            note = "Each cell stands at the kept step that is nearest to the same share of its run."
    return (
        f'<div class="dp-scrub" data-cells="{escape(json.dumps(cells), quote=True)}" data-frames="{most}">'
        '<button type="button" class="dp-play" aria-label="Play">▶</button>'
        f'<input class="dp-range" type="range" min="1" max="{most + 1}" value="{most + 1}" '
        'aria-label="Point of the run">'
        '<output aria-live="polite"></output>'
        '<fieldset><legend class="dp-hidden">What to show</legend>'
        '<label><input type="radio" name="dp-view" value="x0" checked> predicted x̂₀</label>'
        '<label><input type="radio" name="dp-view" value="xt"> noisy xₜ</label></fieldset>'
        f"<p>{note} Drawn by {by}; the last position is the finished picture. Below: how far the cells "
        "are apart, the root mean square difference of two cells' x̂₀ per latent value, over all pairs.</p></div>"
    )


def curve(recordings: list[Recording | None]) -> Any:
    """The distance plot, where at least two cells have latents of one size."""
    found = [recording for recording in recordings if recording]
    if len(found) < CURVE_NEEDS or len({recording.x0.shape[1:] for recording in found}) > 1:
        return gr.update(visible=False)
    distances = apart(found)
    return gr.update(value=distances, y_lim=[0, ABOVE * distances["distance"].max()], visible=True)


def _cell(recording: Recording, x0: Image.Image, x_t: Image.Image) -> dict[str, Any]:
    return {
        "x0": _url(x0),
        "xt": _url(x_t),
        "calls": recording.calls,
        "of": recording.of,
        "t": [round(t, 1) for t in recording.timesteps],
    }


def _url(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return FILES.url(buffer.getvalue(), "strip.jpg")


def _paragraph(text: str) -> str:
    return f'<p class="dp-quiet">{escape(text)}</p>'
