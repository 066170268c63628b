"""What a grid shows, as a value: `folded` takes one event into it, `html` draws it.

One labelled cell per recipe, its picture growing in a frame that never moves. Nothing here changes once it is made, so
a run and whoever stops it can hold the same grid. Everything that a person typed passes `html.escape`; pictures are
files in Gradio's cache, written once each.
"""

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

from PIL import Image

from playground.engine import Done, Event, Failed, Result, Step, Waiting
from playground.export.bundle import file_name
from playground.export.png import cell_png
from playground.labels import value_label
from playground.recipe import Recipe
from playground.sweep import Sweep, value_of
from playground.ui.shared.files import FILES

MOST_COLUMNS = 6
SHORT_LABEL = 60  # characters of a prompt above a cell; the whole of it is in the tooltip and in the opened cell


@dataclass(frozen=True)
class Cell:
    """One frame of the grid and what it shows at the moment."""

    recipe: Recipe
    label: str
    state: str = "waiting"  # waiting, running, done, failed, stopped
    picture: str = ""  # URL
    progress: float = 0.0  # 0 … 1
    note: str = ""  # under the picture
    facts: Mapping[str, Any] = field(default_factory=dict)  # shown when the cell is opened

    @property
    def open(self) -> bool:
        """Something is still to come."""
        return self.state in ("waiting", "running")


@dataclass(frozen=True)
class Grid:
    """All cells of a sweep, and what their run said so far."""

    sweep: Sweep
    cells: tuple[Cell, ...]
    computed: int = 0  # evaluations
    shared: int = 0  # evaluations computed once for several cells
    others: int = 0  # visitors who were being served when this run began

    @property
    def finished(self) -> int:
        return sum(cell.state == "done" for cell in self.cells)


def empty(sweep: Sweep, note: str = "") -> Grid:
    """Frames that wait for their pictures, with a note under each."""
    axis = next(iter(sweep.axes))
    return Grid(sweep, tuple(Cell(r, value_label(axis, value_of(r, axis)), note=note) for r in sweep.recipes()))


def folded(grid: Grid, event: Event) -> Grid:
    """The grid after this event."""
    if isinstance(event, Waiting):
        return replace(grid, others=event.others)
    if isinstance(event, Step):
        changes: dict[str, Any] = {"state": "running", "progress": event.k / event.of}
        changes["note"] = f"step {event.k} of {event.of}"
        if event.preview is not None:
            changes["picture"] = data_url(event.preview)
        return _with_cell(grid, event.cell, **changes)
    if isinstance(event, Done):
        grid = _with_cell(grid, event.cell, **_finished(event.result, event.stored))
        if event.stored:
            return grid
        computed = event.result.evaluations - event.result.shared
        return replace(grid, computed=grid.computed + computed, shared=grid.shared + event.result.shared)
    if isinstance(event, Failed):
        return _with_cell(grid, event.cell, state="failed", progress=0.0, picture="", note=event.reason)
    return grid


def stopped(grid: Grid) -> Grid:
    """What was not finished says so; what was stays."""
    cells = (replace(c, state="stopped", note="stopped before it was finished") if c.open else c for c in grid.cells)
    return replace(grid, cells=tuple(cells))


def html(grid: Grid) -> str:
    columns = min(len(grid.cells), MOST_COLUMNS)
    if len(grid.cells) > MOST_COLUMNS:  # full rows rather than one long and one short
        rows = -(-len(grid.cells) // MOST_COLUMNS)
        columns = -(-len(grid.cells) // rows)
    cells = "".join(_cell_html(cell) for cell in grid.cells)
    return f'<div class="dp-grid" style="--columns:{columns}">{cells}</div>'


def data_url(picture: Image.Image) -> str:
    """A preview is small and lives for one step, so it travels inside the page's update."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _with_cell(grid: Grid, i: int, **changes: Any) -> Grid:
    cells = (*grid.cells[:i], replace(grid.cells[i], **changes), *grid.cells[i + 1 :])
    return replace(grid, cells=cells)


def _finished(result: Result, stored: bool) -> dict[str, Any]:
    """What a cell shows of its finished picture."""
    plural = "" if result.evaluations == 1 else "s"
    return {
        "state": "done",
        "progress": 1.0,
        "picture": FILES.url(cell_png(result), file_name(result.recipe)),
        "note": f"{result.seconds:.2f} s · {result.evaluations} evaluation{plural}" + (" · kept" if stored else ""),
        "facts": {
            "seconds": round(result.seconds, 3),
            "evaluations": result.evaluations,
            "of them shared": result.shared,
        },
    }


def _cell_html(cell: Cell) -> str:
    label = cell.label if len(cell.label) <= SHORT_LABEL else cell.label[: SHORT_LABEL - 1] + "…"
    alt = f"{cell.label}: {cell.note}" if cell.note else cell.label
    inside = f'<img src="{escape(cell.picture, quote=True)}" alt="{escape(alt, quote=True)}">' if cell.picture else ""
    frame = (
        f'<button type="button" class="dp-picture" data-recipe="{escape(cell.recipe.to_json(), quote=True)}" '
        f'data-facts="{escape(json.dumps(cell.facts), quote=True)}" aria-label="Open {escape(alt, quote=True)}"'
        f"{'' if cell.state == 'done' else ' disabled'}>{inside}</button>"
    )
    return (
        f'<figure class="dp-cell" data-state="{cell.state}" style="--done:{cell.progress:.3f}">'
        f'<figcaption title="{escape(cell.label, quote=True)}">{escape(label)}</figcaption>'
        f'{frame}<div class="dp-bar"></div><p class="dp-note">{escape(cell.note)}</p></figure>'
    )
