"""The one path from recipes to finished cells: kept in the store, or denoised by the engine and then kept."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from playground import pictures
from playground.edges import edges
from playground.engine import Done, Engine, Event, Failed, Keep, Result, Waiting
from playground.engine.contract import NO_PICTURE, NOTHING
from playground.labels import NEEDS
from playground.models import Facts
from playground.models.facts import NOT_ASKED
from playground.models.own_sizes import with_own_sizes
from playground.pictures import fitted, open_whole
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.store import Store
from playground.sweep import Sweep

LONGEST = 600  # seconds of one run: more is refused to a program, and asked about once more on the page


def render(
    engine: Engine,
    store: Store,
    cells: Sequence[Recipe],
    previews: bool = True,
    keep: Keep = NOTHING,
    visitor: str = "",
    elsewhere: bool = False,
) -> Iterator[Event]:
    """Events as `engine.run` gives them; cells that the store has come first. Every finished cell is kept at once.
    Hosted models are asked only where somebody who saw what it costs said Run, which `elsewhere` says; else their
    cells fail.

    Raises Refusal, before anything runs, as `undrawable` does, and where the store lacks the picture that a cell starts
    from; cells that are kept need none.
    """
    missing, refused = [], undrawable(engine, cells)
    yield from (Failed(cell, reason) for cell, reason in refused.items())
    for cell, recipe in enumerate(cells):
        if cell in refused:
            continue
        if result := kept_result(engine, store, recipe):
            yield Done(cell, result, stored=True)
        elif not elsewhere and engine.of(recipe.model).facts.elsewhere:
            yield Failed(cell, f"{recipe.model} {NOT_ASKED}")
        else:
            missing.append(cell)

    def kept(event: Done) -> Done:
        return replace(event, result=store.put(event.result, weights_of(engine, event.result.recipe)))

    asked = [cells[cell] for cell in missing]
    starts = pictures_of(store, asked)
    with closing(engine.run(asked, kept, previews=previews, keep=keep, visitor=visitor, pictures=starts)) as events:
        for event in events:
            if isinstance(event, Waiting):
                yield event
                continue
            yield replace(kept(event) if isinstance(event, Done) else event, cell=missing[event.cell])


def undrawable(engine: Engine, cells: Sequence[Recipe]) -> dict[int, str]:
    """In a grid over several models, the cells that their own model cannot draw, each with the reason as a sentence.

    Raises Refusal where none can be drawn; of a single model, where it cannot draw all of them.
    """
    refused = {cell: reason for cell, recipe in enumerate(cells) if (reason := _refused(engine, recipe))}
    if refused and (len(refused) == len(cells) or len({recipe.model for recipe in cells}) == 1):
        raise Refusal(next(iter(refused.values())))
    return refused


def _refused(engine: Engine, recipe: Recipe) -> str:
    """Why its model cannot draw it, from what needs no file to be read; empty where it can."""
    try:
        engine.of(recipe.model).facts.check(recipe)
    except Refusal as refusal:
        return str(refusal)
    return ""


def read_recipe(engine: Engine) -> Callable[[Any], Recipe]:
    """What reads the JSON of a recipe: with the size of the model that it names, where it says none."""

    def read(data: Any) -> Recipe:
        named = data.get("model") if isinstance(data, dict) else None
        return engine.of(named if isinstance(named, str) else "").facts.recipe(data)

    return read


def suited(engine: Engine, sweep: Sweep) -> Sweep:
    """The sweep with models in sizes of their own, where the one that is asked for does not fit them all."""
    return with_own_sizes(sweep, facts_of(engine))


def facts_of(engine: Engine) -> Callable[[str], Facts]:
    """What gives the facts of the model of this name; of a name that the engine does not know, those of its own."""
    return lambda name: engine.of(name).facts


def weights_of(engine: Engine, recipe: Recipe) -> str:
    """The fingerprint under which the store has this picture: that of the model that it names."""
    return engine.of(recipe.model).facts.fingerprint_for(recipe)


def kept_result(engine: Engine, store: Store, recipe: Recipe) -> Result | None:
    """What the store has of this recipe."""
    return store.get(recipe, weights_of(engine, recipe))


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


def check_needs(sweep: Sweep) -> None:
    """Raises Refusal where a field is varied that is not used without another one, which is empty."""
    for axis in sweep.axes:
        if (needed := NEEDS.get(axis)) and not getattr(sweep.base, needed):
            raise Refusal(f"{axis} changes nothing where {needed} is empty.")


def check_cost(engine: Engine, store: Store, cells: Sequence[Recipe]) -> None:
    """Raises Refusal where the cells still to render would hold the machine too long, by the measured speed."""
    if (seconds := seconds_known(engine, missing(engine, store, cells))) > LONGEST:
        raise Refusal(
            f"This grid would take about {seconds / 60:.0f} minutes here; the limit is {LONGEST // 60}. "
            "Use fewer values or fewer steps."
        )


def seconds_known(engine: Engine, cells: Sequence[Recipe], keep: Keep = NOTHING) -> float:
    """What these recipes would take alone, as far as the speeds of their models were measured."""
    by_model: dict[str, list[Recipe]] = {}
    for recipe in cells:
        by_model.setdefault(recipe.model, []).append(recipe)
    return sum(engine.estimate(some, keep) or 0.0 for some in by_model.values())


def missing(engine: Engine, store: Store, cells: Sequence[Recipe]) -> list[Recipe]:
    """The recipes that the engine would still have to denoise, without those that it cannot."""
    return [recipe for recipe in cells if not is_kept(engine, store, recipe) and not _refused(engine, recipe)]


def is_kept(engine: Engine, store: Store, recipe: Recipe) -> bool:
    """The store has its picture."""
    return store.has(recipe, weights_of(engine, recipe))
