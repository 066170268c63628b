"""The steps of a grid's runs for a file: as many points of each run as the file has room for, drawn as pictures."""

from collections.abc import Sequence

from playground.engine import Engine
from playground.export.finished import Steps
from playground.export.viewer import frames_each
from playground.inside.recordings import Recordings
from playground.inside.strips import drawn_strips
from playground.recipe import Recipe

MOST_BY_VAE = 60  # frames of a file where a VAE must draw them, for want of a quick decoder


def room_for(engine: Engine, recipes: Sequence[Recipe]) -> int:
    """How many points of each of these runs a file has room for; 0 where they are too many to step through."""
    facts = [engine.of(model).facts for model in {recipe.model for recipe in recipes}]
    quick = all(each.quick_previews for each in facts if not each.whole)
    return (frames_each(len(recipes)) if quick else frames_each(len(recipes), MOST_BY_VAE)) if recipes else 0


def kept_steps(engine: Engine, recordings: Recordings, recipes: Sequence[Recipe]) -> tuple[Steps | None, ...]:
    """Of each run whose latents are still in memory; nothing is run again for it. Empty where there are none, or too
    many for a file."""
    kept = [recordings.get(recipe) for recipe in recipes]
    if not (each := room_for(engine, [recipe for recipe, found in zip(recipes, kept, strict=True) if found])):
        return ()
    thinned = [found and found.thinned(each) for found in kept]
    drawn = dict(drawn_strips(engine, recipes, thinned))
    two = ((drawn[place], drawn[place + 1]) for place in range(0, len(drawn), 2))  # strips of each that is there
    return tuple(found and Steps(found.calls, found.of, found.timesteps, *next(two)) for found in thinned)
