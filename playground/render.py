"""The one path from recipes to finished cells: kept in the store, or denoised by the engine and then kept."""

from collections.abc import Iterator, Sequence
from contextlib import closing

from playground.engine import Done, Engine, Event, Waiting
from playground.recipe import Recipe
from playground.store import Store

LONGEST = 600  # seconds of one grid, so that one visitor cannot hold the machine


def render(
    engine: Engine,
    store: Store,
    cells: Sequence[Recipe],
    previews: bool = True,
    latents: bool = False,
    visitor: str = "",
) -> Iterator[Event]:
    """Events as `engine.run` gives them; cells that the store has come first. Every finished cell is kept at once.

    Raises ValueError, before anything runs, for a recipe of another model than the engine's or with unknown LoRAs.
    """
    other = next((recipe.model for recipe in cells if recipe.model != engine.model.name), None)
    if other is not None:
        raise ValueError(f"model must be {engine.model.name}, which is what this playground runs, not {other[:40]!r}.")
    for recipe in cells:
        engine.model.loras.check_known(recipe.loras)
    missing = []
    for cell, recipe in enumerate(cells):
        if result := store.get(recipe, engine.model.fingerprint_for(recipe)):
            yield Done(cell, result, stored=True)
        else:
            missing.append(cell)

    def keep(event: Done) -> None:
        store.put(event.result, engine.model.fingerprint_for(event.result.recipe))

    with closing(engine.run([cells[cell] for cell in missing], previews, latents, keep, visitor)) as events:
        for event in events:
            if isinstance(event, Waiting):
                yield event
                continue
            cell = missing[event.cell]
            if isinstance(event, Done):
                keep(event)
            yield type(event)(**{**event.__dict__, "cell": cell})


def check_cost(engine: Engine, store: Store, cells: Sequence[Recipe]) -> None:
    """Raises ValueError where the cells still to render would hold the machine too long, by the measured speed."""
    seconds = engine.estimate(missing(engine, store, cells))
    if seconds is not None and seconds > LONGEST:
        raise ValueError(
            f"This grid would take about {seconds / 60:.0f} minutes here; the limit is {LONGEST // 60}. "
            "Use fewer values or fewer steps."
        )


def missing(engine: Engine, store: Store, cells: Sequence[Recipe]) -> list[Recipe]:
    """The recipes that the engine would still have to denoise."""
    return [recipe for recipe in cells if not store.has(recipe, engine.model.fingerprint_for(recipe))]
