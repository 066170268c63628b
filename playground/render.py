"""The one path from recipes to finished cells: kept in the store, or denoised by the engine and then kept."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from PIL import Image

from playground import pictures
from playground.edges import edges
from playground.engine import Done, Engine, Event, Keep, Waiting
from playground.engine.contract import NO_PICTURE, NOTHING
from playground.models import Facts
from playground.pictures import fitted, open_whole
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.store import Store
from playground.sweep import Sweep

LONGEST = 600  # seconds of one grid, so that one visitor cannot hold the machine


def render(
    engine: Engine,
    store: Store,
    cells: Sequence[Recipe],
    previews: bool = True,
    keep: Keep = NOTHING,
    visitor: str = "",
) -> Iterator[Event]:
    """Events as `engine.run` gives them; cells that the store has come first. Every finished cell is kept at once.

    Raises Refusal, before anything runs, for a recipe that the engine's model cannot draw, and where the store lacks
    the picture that a cell starts from; cells that are kept need none.
    """
    for recipe in cells:
        engine.facts.check(recipe)
    missing = []
    for cell, recipe in enumerate(cells):
        if result := store.get(recipe, engine.facts.fingerprint_for(recipe)):
            yield Done(cell, result, stored=True)
        else:
            missing.append(cell)

    def kept(event: Done) -> Done:
        return replace(event, result=store.put(event.result, engine.facts.fingerprint_for(event.result.recipe)))

    asked = [cells[cell] for cell in missing]
    starts = pictures_of(store, asked)
    with closing(engine.run(asked, previews, keep, None, kept, visitor, pictures=starts)) as events:
        for event in events:
            if isinstance(event, Waiting):
                yield event
                continue
            yield replace(kept(event) if isinstance(event, Done) else event, cell=missing[event.cell])


def pictures_of(store: Store, recipes: Sequence[Recipe]) -> dict[str, Image.Image]:
    """What `Engine.run` needs of the store: the pictures that these recipes name. Raises Refusal for one that is
    not there."""
    found = {name: store.picture(name) for name in _named(recipes)}
    if None in found.values():
        raise Refusal(NO_PICTURE)
    return found


def kept_starts(store: Store, recipes: Sequence[Recipe]) -> dict[str, Image.Image]:
    """The same, as far as they are there."""
    return {name: picture for name in _named(recipes) if (picture := store.picture(name)) is not None}


def _named(recipes: Sequence[Recipe]) -> list[str]:
    return sorted({name for recipe in recipes for name in (recipe.image, recipe.control_image)} - {""})


def begun(sweep: Sweep, path: str | Path, facts: Facts, store: Store) -> Sweep:
    """The sweep with its runs starting from the picture in an untrusted file, which is kept.

    Raises Refusal where the file is no picture that can be read, or the model cannot start from one.
    """
    if facts.no_start:
        raise Refusal(f"image must be empty for this model. {facts.no_start}")
    name = store.put_picture(open_whole(path))
    return Sweep(sweep.base.replace(image=name), sweep.axes, sweep.seeds)


def controlled(sweep: Sweep, path: str | Path, draw_edges: bool, facts: Facts, store: Store) -> Sweep:
    """The sweep with a ControlNet shown the picture in an untrusted file, or its edges in the size of the runs, which
    is kept. Raises Refusal where the file is no picture that can be read, or there is no ControlNet."""
    picture, base = open_whole(path), sweep.base
    if draw_edges:
        picture = edges(fitted(picture, base.width, base.height))
    base = base.replace(control_image=pictures.digest(picture))
    facts.check(base)
    store.put_picture(picture)
    return Sweep(base, sweep.axes, sweep.seeds)


def check_cost(engine: Engine, store: Store, cells: Sequence[Recipe]) -> None:
    """Raises Refusal where the cells still to render would hold the machine too long, by the measured speed."""
    seconds = engine.estimate(missing(engine, store, cells))
    if seconds is not None and seconds > LONGEST:
        raise Refusal(
            f"This grid would take about {seconds / 60:.0f} minutes here; the limit is {LONGEST // 60}. "
            "Use fewer values or fewer steps."
        )


def missing(engine: Engine, store: Store, cells: Sequence[Recipe]) -> list[Recipe]:
    """The recipes that the engine would still have to denoise."""
    return [recipe for recipe in cells if not store.has(recipe, engine.facts.fingerprint_for(recipe))]
