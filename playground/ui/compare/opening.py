"""What Compare opens with: values to begin with, and a first grid of pictures that the model has drawn, or of frames
that say they are empty.

Nothing is drawn because somebody came by: on a small machine a grid of a large model takes minutes, which belong to
whoever presses Run. What was drawn then is kept, and is what the next visitor sees first.
"""

from typing import Any

from playground.engine import Done, Engine, Failed
from playground.link import to_token
from playground.models import Facts
from playground.render import facts_of, kept_result, undrawable
from playground.store import Store, from_png
from playground.sweep import Sweep
from playground.ui.compare import grid
from playground.ui.compare.begins import given_pictures
from playground.ui.shared.offered import worth_comparing
from playground.ui.shared.shipped import SHIPPED, examples, first_view_files
from playground.ui.shared.words import key_of


def first_values(facts: Facts) -> dict[str, list[Any]]:
    """What the editor of each axis holds before anybody has typed."""
    found = examples(tuple(facts.loras)) if facts.name == SHIPPED else ()
    shown: dict[str, list[Any]] = {}
    for example in found:
        axis, values = next(iter(example.sweep.axes.items()))
        shown.setdefault(key_of(axis), values)
    return worth_comparing(facts) | shown


def kept_grid(engine: Engine, store: Store, sweep: Sweep) -> grid.Grid:
    """Every cell with its picture where there is one: shipped, or kept from an earlier run.

    Raises Refusal where none of them can be drawn, and ValueError where a shipped picture is not that of the recipe.
    """
    shown = grid.empty(
        sweep,
        "not rendered yet",
        to_token(sweep, engine.facts.usual),
        begins=given_pictures(store, sweep),
        facts_of=facts_of(engine),
    )
    shipped, refused = _ships(engine.facts, sweep), undrawable(engine, sweep.recipes())
    for i, cell in enumerate(shown.cells):
        if shipped:
            path = first_view_files(sweep)[i]
            result = from_png(path.read_bytes())
            if result.recipe != cell.recipe:
                raise ValueError(f"{path.name} was rendered with another recipe; run examples/render_first_view.py.")
        else:
            result = kept_result(engine, store, cell.recipe)
        if i in refused:
            shown = grid.folded(shown, Failed(i, refused[i]))
        elif result is not None:
            shown = grid.folded(shown, Done(i, result, stored=not shipped))
    return shown


def says(facts: Facts, shown: grid.Grid) -> str:
    """Under a grid that nobody has just run: where its pictures come from."""
    if shown.finished == 0 and any(cell.open for cell in shown.cells):
        return "Not rendered yet; Run draws it."
    by = "these models" if "model" in shown.sweep.axes else "this model"
    if any(cell.open for cell in shown.cells):
        return f"{shown.finished} of {len(shown.cells)} rendered earlier by {by}; Run draws the rest."
    if not _ships(facts, shown.sweep):
        return f"Rendered earlier by {by}, with the recipe in the form, and kept."
    return "Rendered earlier by this model, with the recipe in the form. Run renders it here and now."


def _ships(facts: Facts, sweep: Sweep) -> bool:
    """The pictures of this sweep come with the page."""
    return facts.name == SHIPPED and sweep.digest() == examples()[0].sweep.digest()
