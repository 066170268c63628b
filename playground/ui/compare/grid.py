"""What a grid shows, as a value: `folded` takes one event into it, `payload` is what the browser draws of it.

One labelled cell per recipe, its picture growing in a frame that never moves. Nothing here changes once it is made, so
a run and whoever stops it can hold the same grid. The payload is plain data, of which Gradio sends only what changed
since the last update; board.js sets all text as text, so nothing that a person typed becomes markup. Each cell is one
string there: Gradio's own part in the browser copies and watches all that an update holds, value by value, and a string
is one value where a recipe is twenty. Pictures are files in Gradio's cache, written once each.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image

from playground.engine import Done, Event, Failed, Result, Step, Waiting
from playground.export.bundle import file_name
from playground.export.png import cell_png
from playground.labels import axis_name, named, value_label
from playground.models import Facts, honours_of
from playground.recipe import Recipe
from playground.sweep import Sweep
from playground.ui.compare.caption import alt_of, caption, place_label
from playground.ui.shared.files import FILES
from playground.ui.shared.html import data_url
from playground.ui.shared.spoken import spoken

MANY = 48  # cells, from which on a large picture is shown by a small one until it is opened
SMALL = 256  # pixels of its longer side: about what a cell of so large a grid has on the page


@dataclass(frozen=True)
class Cell:
    """One frame of the grid and what it shows at the moment."""

    recipe: Recipe
    shown: Mapping[str, Any]  # what never changes of it, as `payload` sends it: label, alt text, recipe
    state: str = "waiting"  # waiting, running, done, failed, stopped
    picture: str = ""  # URL
    small: str = ""  # URL of what the grid shows of it, where that is another file
    progress: float = 0.0  # 0 … 1
    note: str = ""  # under the picture
    stored: bool = False  # it was kept from an earlier run, and nothing was computed
    facts: Mapping[str, Any] = field(default_factory=dict)  # shown when the cell is opened

    @property
    def open(self) -> bool:
        """Something is still to come."""
        return self.state in ("waiting", "running")


@dataclass(frozen=True)
class Grid:
    """All cells of a sweep, and what their run said so far."""

    sweep: Sweep
    head: Mapping[str, Any]  # what never changes of it, as `payload` sends it
    cells: tuple[Cell, ...]
    computed: int = 0  # evaluations
    shared: int = 0  # evaluations computed once for several cells
    others: int = 0  # visitors who were being served when this run began
    model: str = ""  # how far the model is, as a sentence, while the run waits for it

    @property
    def away(self) -> int:
        """Pictures of this run that were not drawn here."""
        return sum("origin" in cell.facts and not cell.stored for cell in self.cells)

    @property
    def finished(self) -> int:
        return sum(cell.state == "done" for cell in self.cells)


def empty(
    sweep: Sweep,
    note: str = "",
    token: str = "",
    own: bool = False,
    begins: Sequence[str] = (),
    facts_of: Callable[[str], Facts] | None = None,
) -> Grid:
    """Frames that wait for their pictures, with a note under each.

    `token`: the sweep as `link` writes it. `own`: the visitor asked for it, so that it goes into the address and into
    the history of the browser. `begins`: of the pictures that its runs are given, URL and name in turn. `facts_of`:
    of a model by its name; what it does not honour is not said.
    """
    cells, honours = [], honours_of(facts_of)
    for recipe, place in zip(sweep.recipes(), sweep.places(), strict=True):
        label = place_label(place)
        shown = {"label": label, "alt": alt_of(recipe, label, honours), "recipe": recipe.to_dict()}
        cells.append(Cell(recipe, shown, note=note))
    axes = []
    for name, values in sweep.axes.items():
        labels = [value_label(name, value) for value in values]
        axes.append({"name": axis_name(name), "labels": labels, "named": [named(name, label) for label in labels]})
    head = {"asked": sweep.digest(), "token": token, "own": own, "caption": caption(sweep, honours), "axes": axes}
    head |= {"begins": list(begins), "seeds": sweep.seeds}
    return Grid(sweep, head, tuple(cells))


def folded(grid: Grid, event: Event) -> Grid:
    """The grid after this event."""
    if isinstance(event, Waiting):
        return replace(grid, others=event.others, model=event.model)
    if isinstance(event, Step):
        grid = replace(grid, model="")
        changes: dict[str, Any] = {"state": "running", "progress": event.k / event.of}
        changes["note"] = f"step {event.k} of {event.of}"
        if event.preview is not None:
            changes["picture"] = data_url(event.preview, exact=False)  # small, and lives for one step
        return _with_cell(grid, event.cell, **changes)
    if isinstance(event, Done):
        grid = _with_cell(grid, event.cell, **_finished(event.result, event.stored, len(grid.cells) > MANY))
        if event.stored:
            return grid
        computed = event.result.evaluations - event.result.shared
        return replace(grid, computed=grid.computed + computed, shared=grid.shared + event.result.shared)
    if isinstance(event, Failed):
        return _with_cell(grid, event.cell, state="failed", progress=0.0, picture="", note=spoken(event.reason))
    return grid


def stopped(grid: Grid) -> Grid:
    """What was not finished says so; what was stays."""
    cells = (replace(c, state="stopped", note="stopped before it was finished") if c.open else c for c in grid.cells)
    return replace(grid, cells=tuple(cells))


def payload(grid: Grid) -> dict[str, Any]:
    """The grid for board.js: its head as JSON, its cells as one JSON text each."""
    return {**grid.head, "cells": [json.dumps(_cell(cell), ensure_ascii=False) for cell in grid.cells]}


def _with_cell(grid: Grid, i: int, **changes: Any) -> Grid:
    cells = (*grid.cells[:i], replace(grid.cells[i], **changes), *grid.cells[i + 1 :])
    return replace(grid, cells=cells)


def _finished(result: Result, stored: bool, among_many: bool) -> dict[str, Any]:
    """What a cell shows of its finished picture."""
    plural = "" if result.evaluations == 1 else "s"
    took = result.elsewhere or f"{result.evaluations} evaluation{plural}"
    return {
        "state": "done",
        "stored": stored,
        "progress": 1.0,
        "picture": FILES.url(cell_png(result), file_name(result.recipe)),
        "small": _small(result.image) if among_many and max(result.image.size) > SMALL else "",
        "note": f"{result.seconds:.2f} s · {took}" + (" · kept" if stored else ""),
        "facts": {"seconds": round(result.seconds, 3)}
        | (
            {"origin": result.elsewhere}
            if result.elsewhere
            else {"evaluations": result.evaluations, "of them shared": result.shared}
        ),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        **cell.shown,
        "state": cell.state,
        "picture": cell.picture,
        "small": cell.small,
        "progress": round(cell.progress, 3),
        "note": cell.note,
        "facts": dict(cell.facts),
    }


def _small(picture: Image.Image) -> str:
    """URL of the picture in the size of a cell, as WebP."""
    scale, file = SMALL / max(picture.size), io.BytesIO()
    picture.resize(tuple(max(1, round(side * scale)) for side in picture.size)).save(file, "WEBP", quality=85)
    return FILES.url(file.getvalue(), "small.webp")
