"""The steps of a grid's runs for a file: as many points of each run as the file has room for, drawn as pictures."""

from collections.abc import Sequence

from PIL import Image

from playground.engine import Engine
from playground.export.finished import Steps
from playground.export.viewer import frames_each
from playground.inside.grid_film import Films, strips
from playground.recipe import Recipe

MOST_BY_VAE = 60  # frames of a file where a VAE must draw them, for want of a quick decoder


def room_for(engine: Engine, recipes: Sequence[Recipe]) -> int:
    """How many points of each of these runs a file has room for; 0 where they are too many to step through."""
    facts = [engine.of(model).facts for model in {recipe.model for recipe in recipes}]
    quick = all(each.quick_previews for each in facts if not each.whole)
    return (frames_each(len(recipes)) if quick else frames_each(len(recipes), MOST_BY_VAE)) if recipes else 0


def kept_steps(engine: Engine, films: Films, recipes: Sequence[Recipe]) -> tuple[Steps | None, ...]:
    """Of each run whose latents are still in memory; nothing is run again for it. Empty where there are none, or too
    many for a file."""
    kept = [films.get(recipe) for recipe in recipes]
    found = [film for film in kept if film is not None]
    models = [recipe.model for recipe, film in zip(recipes, kept, strict=True) if film is not None]
    if not (each := room_for(engine, [recipe for recipe, film in zip(recipes, kept, strict=True) if film is not None])):
        return ()
    thinned = [film.thinned(each) for film in found]
    drawn: dict[int, Image.Image] = {}  # two strips of each film
    for model in dict.fromkeys(models):
        own = [i for i, name in enumerate(models) if name == model]
        latents = [part for i in own for part in (thinned[i].x0, thinned[i].seen)]
        drawn |= {2 * own[at // 2] + at % 2: strip for at, strip in strips(engine.of(model), latents)}
    made = (
        Steps(film.calls, film.of, film.timesteps, drawn[2 * i], drawn[2 * i + 1]) for i, film in enumerate(thinned)
    )
    return tuple(None if film is None else next(made) for film in kept)
