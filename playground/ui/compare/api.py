"""The endpoint for programs: a sweep as JSON in, picture files and numbers out."""

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from playground.engine import Done, Engine, Failed
from playground.export.png import cell_png
from playground.recipe import Recipe
from playground.render import LONGEST, begun, check_cost, check_needs, read_recipe, render, suited
from playground.store import Store
from playground.sweep import Sweep
from playground.ui.shared.described import PICTURE, describe, sweep_in_words
from playground.ui.shared.endpoint import A_PICTURE, A_SWEEP, ENGINE, exemplary, register
from playground.ui.shared.files import FILES

REPEAT = 1.0  # seconds between two answers, also where nothing is new: a caller who has left is noticed only at one
SPARE = 4  # times as long as an answer takes to send, which grows with the grid, passes before the next one


def build(engine: Engine, store: Store) -> None:
    """Register `/render_grid`; it has no visible part."""

    def render_grid(
        sweep: dict[str, Any], picture: str | None = None
    ) -> Iterator[tuple[list[str], list[dict[str, Any]]]]:
        """Draw a grid of pictures with a diffusion model: one recipe, with one to three of its settings varied.

        All else stays the same, the noise included, so what differs between two pictures is that setting's doing. A
        recipe always gives the same picture. To draw a single one, give an axis a single value.
        A grid that would take more than {longest} seconds is refused.

        Parameters:
            sweep: {sweep}
            picture: {picture}; where it is given, the runs start from it, and its digest is the image of every recipe
        Returns:
            the pictures as PNG files that carry their recipes
            a list with one object per cell: recipe, digest, file, seconds, evaluations of the network, or error
        """
        asked = suited(engine, Sweep.from_dict(sweep, read_recipe(engine)))
        if picture is not None:
            asked = begun(asked, picture, engine.facts, store)
        check_needs(asked)
        cells = asked.recipes()
        check_cost(engine, store, cells)
        yield from _rendered(cells)

    def _rendered(cells: list[Recipe]) -> Iterator[tuple[list[str], list[dict[str, Any]]]]:
        files: dict[int, str] = {}
        rows: dict[int, dict[str, Any]] = {}

        def answer() -> tuple[list[str], list[dict[str, Any]]]:
            return [files[i] for i in sorted(files)], [rows[i] for i in sorted(rows)]

        told, took, new = time.perf_counter(), 0.0, False
        for event in render(engine, store, cells, previews=False):
            if isinstance(event, Done):
                result = event.result
                name = f"{event.cell:02d}-{result.recipe.digest()[:12]}.png"
                files[event.cell] = FILES.path(cell_png(result, engine.of(result.recipe.model).facts), name)
                rows[event.cell] = {
                    "recipe": result.recipe.to_dict(),
                    "digest": result.recipe.digest(),
                    "file": name,
                    "seconds": result.seconds,
                    "evaluations": result.evaluations,
                    "shared": result.shared,
                    "kept": event.stored,
                }
            elif isinstance(event, Failed):
                rows[event.cell] = {"recipe": cells[event.cell].to_dict(), "error": event.reason}
            new = new or isinstance(event, Done | Failed)
            now = time.perf_counter()
            if now - told < (SPARE * took if new else REPEAT):
                continue
            yield answer()
            told, took, new = time.perf_counter(), time.perf_counter() - now, False
        if new:
            yield answer()

    describe(render_grid, sweep=sweep_in_words(engine.facts), picture=PICTURE, longest=str(LONGEST))
    outputs = [gr.Files(label="pictures", render=False), gr.JSON(label="cells", render=False)]
    asked = [
        exemplary(gr.JSON(label="sweep", render=False), A_SWEEP),
        exemplary(gr.File(label="picture", type="filepath", render=False), A_PICTURE),
    ]
    register(render_grid, "render_grid", asked, outputs, **ENGINE)
