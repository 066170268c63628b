"""`grid --steps`: the runs of a grid for its HTML page, recorded while they are drawn, and once more where their
pictures were kept from before."""

from collections.abc import Iterator, Sequence

from playground.engine import Engine
from playground.export.finished import FinishedGrid
from playground.inside.grid_steps import room_for
from playground.inside.recordings import Recordings
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.render import pictures_of
from playground.store import Store

MOST_BYTES = 2**30  # of latents in memory, for one grid
NO_ROOM = "They are too many runs to step through in one file, so grid.html shows their pictures only."


def recordings_for(engine: Engine, recipes: Sequence[Recipe]) -> Recordings | None:
    """What records their runs; None where a file has no room for so many."""
    each = room_for(engine, recipes)
    return Recordings(engine, MOST_BYTES, each) if each else None


def again(store: Store, recordings: Recordings, grid: FinishedGrid) -> Iterator[tuple[int, int]]:
    """Run those again that have a picture and were not recorded while it was drawn; yields (network calls done, of
    all). A run that is given a picture which is not kept here is left out."""
    drawn = [recipe for recipe, result in zip(grid.recipes, grid.results, strict=True) if result is not None]
    asked = [recipe for recipe in drawn if recordings.get(recipe) is None and _begins(store, recipe)]
    yield from recordings.record(asked, pictures_of(store, asked))


def shown(grid: FinishedGrid) -> int:
    """Of how many runs the page has steps."""
    return sum(steps is not None for steps in grid.steps)


def said(grid: FinishedGrid) -> str:
    """The same as a sentence, with how many points of each."""
    points = max((len(steps.calls) for steps in grid.steps if steps is not None), default=0)
    return f"grid.html steps through {shown(grid)} of {len(grid.recipes)} runs, at most {points} points of each."


def _begins(store: Store, recipe: Recipe) -> bool:
    try:
        pictures_of(store, [recipe])
    except Refusal:
        return False
    return True
