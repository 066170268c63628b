"""Effect curves: what the axis of the grid above changes, in numbers, and whether it is the setting or the seed."""

from typing import Any

import gradio as gr
import pandas as pd

from playground.engine import Engine
from playground.export.finished import finished
from playground.labels import Axis
from playground.lessons.expecting import main_axis
from playground.measure.fit import NOBODY
from playground.measure.named import MEASURES
from playground.measure.seed_noise import effect
from playground.measure.table import COLUMNS, measured
from playground.store import Store
from playground.sweep import Sweep
from playground.ui.compare.takeaway import finder
from playground.ui.shared.files import FILES
from playground.ui.shared.html import escaped
from playground.ui.shared.quiet import QUIET
from playground.ui.shared.refused import says_refusals

NEVER = pd.DataFrame({"x": [], "y": []})
DIGITS = 4
TURNED = -40  # degrees, of names under bars that have no room side by side
ROOM = 40  # letters of them that have it in the narrowest plot
NAMES = {key: MEASURES[key].name for key in COLUMNS}
JUDGED = ("fit", "saturation", "clipped", "sharpness")  # each of one picture, which the seed may change
ASK_SEEDS = "To tell the setting from the seed, draw each value with three seeds or more."


def build(engine: Engine, store: Store, shown_sweep: gr.State, start: Sweep) -> dict[str, Any]:
    """`shown_sweep` as in `takeaway.build`. Gives the event that takes away what was measured of another grid, for
    answers outside the queue, which do not tell the page that a state has changed."""
    find = finder(engine, store, start)
    lines: dict[str, gr.LinePlot] = {}
    bars: dict[str, gr.BarPlot] = {}
    columns: dict[str, gr.Column] = {}
    with gr.Accordion("Effect curves", open=False, elem_id="effects"):
        ask = gr.Button("Measure this grid", size="sm", elem_id="measure")
        verdict = gr.HTML("", elem_id="verdict")
        with gr.Column(visible=False) as found:
            with gr.Row():
                for key, name in NAMES.items():
                    with gr.Column(min_width=300, visible=False, elem_id=f"curve-{key}") as columns[key]:
                        shape: dict[str, Any] = {"x": "x", "y": "y", "title": name, "height": 200, "visible": False}
                        lines[key] = gr.LinePlot(NEVER, elem_id=f"line-{key}", **shape)
                        bars[key] = gr.BarPlot(NEVER, elem_id=f"bar-{key}", **shape | {"height": 240})
                        gr.HTML(f'<p class="dp-quiet">{escaped(MEASURES[key].meaning)}</p>')
            numbers = gr.Dataframe(interactive=False, elem_id="numbers", label="All numbers")
            file = gr.File(interactive=False, label="Table (CSV)", elem_id="numbers-file")
    outputs = [verdict, found, numbers, file, *lines.values(), *bars.values(), *columns.values()]

    def hidden() -> dict[Any, Any]:
        """All at once: Gradio's part in the browser takes its time for every component that is named."""
        return {verdict: "", found: gr.update(visible=False)}

    @says_refusals(verdict, also=hidden())
    def show(data: dict[str, Any] | None) -> dict[Any, Any]:
        grid = finished(start if data is None else Sweep.from_dict(data), find, lambda model: engine.of(model).facts)
        table, axis = measured(grid), main_axis(grid.axes)
        shown = dict.fromkeys([*lines.values(), *bars.values(), *columns.values()], gr.update(visible=False))
        shown |= {found: gr.update(visible=True), verdict: said(table, axis) + lacking(table, len(grid.recipes))}
        for key in COLUMNS:
            if key in table:
                plots = lines if axis.is_number else bars
                shown[columns[key]] = gr.update(visible=True)
                shown[plots[key]] = gr.update(visible=True, **curve(table, axis, key))
        path = FILES.path(table.to_csv(index=False).encode(), "measures.csv")
        return shown | {
            numbers: gr.update(value=table.round(DIGITS).rename(columns=NAMES)),
            file: gr.update(value=path),
        }

    ask.click(show, shown_sweep, outputs, **QUIET)
    hides = {"fn": hidden, "inputs": None, "outputs": [verdict, found], "queue": False, **QUIET}
    shown_sweep.change(**hides)
    return hides


def curve(table: pd.DataFrame, axis: Axis, measure: str) -> dict[str, Any]:
    """One plot's properties: the mean over everything else at each value of the axis.

    Bars stand in the order of the grid, from 0, which their lengths are read against.
    """
    means = table.groupby(axis.name, sort=False, as_index=False)[measure].mean().dropna()
    told: dict[str, Any] = {"value": means, "x": axis.name, "y": measure, "x_title": axis.name, "y_title": " "}
    if axis.is_number:
        return told
    names = list(means[axis.name])
    turned = TURNED if len(names) * max(map(len, names), default=0) > ROOM else 0
    return told | {"sort": names, "y_lim": [min(0, means[measure].min()), None], "x_label_angle": turned}


def lacking(table: pd.DataFrame, pictures: int) -> str:
    """HTML: that some pictures of so many are not there, or have no value of a measure that others have."""
    told = {
        "fit": "Fit to the prompt stands only for pictures of a model that brings its own CLIP towers.",
        "distance": "A picture of another size than the first has no distance to it.",
    }
    found = [sentence for key, sentence in told.items() if key in table and table[key].isna().any()]
    if len(table) < pictures:
        found.insert(
            0, f"{pictures - len(table)} of {pictures} pictures are not there; each mean is over those that are."
        )
    return f'<p class="dp-quiet">{" ".join(found)}</p>' if found else ""


def said(table: pd.DataFrame, axis: Axis) -> str:
    """HTML: setting or seed, one sentence for each measure that depends on the picture."""
    found = [(key, effect(table, axis.name, key)) for key in JUDGED]
    sentences = [e.sentence(NAMES[key], axis.name) for key, e in found if e is not None]
    nobody = "" if "fit" in table else f'<p class="dp-quiet">{escaped(NOBODY)}</p>'
    if not sentences:
        return f"<p>{ASK_SEEDS}</p>{nobody}"
    listed = "".join(f"<li>{escaped(s)}</li>" for s in sentences)
    return f"<h4>Setting or seed?</h4><ul>{listed}</ul>{nobody}"
