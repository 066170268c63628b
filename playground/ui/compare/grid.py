"""The grid as HTML: one labelled cell per recipe, its picture growing in a frame that never moves.

Everything that a person typed passes `html.escape`; pictures are files in Gradio's cache, written once each.
"""

import base64
import io
import json
from dataclasses import dataclass, field
from html import escape
from typing import Any

from PIL import Image

from playground.engine import Done, Event, Failed, Step, Waiting
from playground.recipe import Recipe
from playground.samplers import SAMPLERS
from playground.store import to_png
from playground.sweep import Sweep, lora_of, value_of
from playground.ui.shared.files import FILES

MOST_COLUMNS = 6
SHORT_LABEL = 60  # characters of a prompt above a cell; the whole of it is in the tooltip and in the opened cell


@dataclass
class Cell:
    """One frame of the grid and what it shows at the moment."""

    recipe: Recipe
    label: str
    state: str = "waiting"  # waiting, running, done, failed, stopped
    picture: str = ""  # URL
    progress: float = 0.0  # 0 … 1
    note: str = ""  # under the picture
    facts: dict[str, Any] = field(default_factory=dict)  # shown when the cell is opened


class Grid:
    """Takes the events of a run and gives the HTML of the whole grid."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        recipes = sweep.recipes()
        axis = next(iter(sweep.axes))
        self.cells = [Cell(r, value_label(axis, value_of(r, axis))) for r in recipes]
        self.computed = self.shared = 0
        self.others = 0  # visitors who were being served when this run began

    def take(self, event: Event) -> None:
        if isinstance(event, Waiting):
            self.others = event.others
            return
        cell = self.cells[event.cell]
        if isinstance(event, Step):
            cell.state, cell.progress = "running", event.k / event.of
            cell.note = f"step {event.k} of {event.of}"
            if event.preview is not None:
                cell.picture = data_url(event.preview)
        elif isinstance(event, Done):
            result = event.result
            cell.state, cell.progress, cell.picture = "done", 1.0, FILES.url(to_png(result), file_name(result.recipe))
            cell.note = (
                f"{result.seconds:.2f} s · {result.evaluations} evaluation{'' if result.evaluations == 1 else 's'}"
            )
            if event.stored:
                cell.note += " · kept"
            else:
                self.computed += result.evaluations - result.shared
                self.shared += result.shared
            cell.facts = {
                "seconds": round(result.seconds, 3),
                "evaluations": result.evaluations,
                "of them shared": result.shared,
            }
        elif isinstance(event, Failed):
            cell.state, cell.progress, cell.picture, cell.note = "failed", 0.0, "", event.reason

    def stop(self) -> None:
        """What was not finished says so; what was stays."""
        for cell in self.cells:
            if cell.state in ("waiting", "running"):
                cell.state, cell.note = "stopped", "stopped before it was finished"

    @property
    def finished(self) -> int:
        return sum(cell.state == "done" for cell in self.cells)

    def html(self) -> str:
        columns = min(len(self.cells), MOST_COLUMNS)
        if len(self.cells) > MOST_COLUMNS:  # full rows rather than one long and one short
            rows = -(-len(self.cells) // MOST_COLUMNS)
            columns = -(-len(self.cells) // rows)
        cells = "".join(_cell_html(cell) for cell in self.cells)
        return f'<div class="dp-grid" style="--columns:{columns}">{cells}</div>'


def value_label(axis: str, value: Any) -> str:
    """A value as it stands above its cell."""
    if axis == "sampler":
        return SAMPLERS[value].label
    if (name := lora_of(axis)) is not None:
        return lora_label(name, value)
    if axis == "loras":
        return " + ".join(lora_label(*pair) for pair in value) or "no LoRA"
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value) if value != "" else "none"


def file_name(recipe: Recipe) -> str:
    """What a downloaded picture is called; the same recipe always has the same name."""
    return f"{recipe.model}-{recipe.seed}-{recipe.digest()[:8]}.png"


def lora_label(name: str, weight: float) -> str:
    """ "ink 0.5" """
    return f"{name} " + f"{weight:.15g}".replace("-", "−")


def data_url(picture: Image.Image) -> str:
    """A preview is small and lives for one step, so it travels inside the page's update."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


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
