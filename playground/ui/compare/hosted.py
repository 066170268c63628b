"""What is said of hosted models before a run: how many pictures are asked of whom, what is sent, and what it costs."""

from collections.abc import Iterator, Sequence

from playground.engine import Engine
from playground.models.elsewhere import NAMES
from playground.recipe import Recipe


def sent_away(engine: Engine, recipes: Sequence[Recipe]) -> Iterator[str]:
    """A few sentences for each hosted model of which some of these pictures would be asked."""
    for name in dict.fromkeys(recipe.model for recipe in recipes):
        facts = engine.of(name).facts
        if (where := facts.elsewhere) is None:
            continue
        own = [recipe for recipe in recipes if recipe.model == name]
        count = len(set(map(facts.used, own)))
        text = f"{count} picture{'s are' if count > 1 else ' is'} asked of {name} at {where.provider}; your prompt is "
        text += "sent there"
        sent = dict.fromkeys(field for recipe in own for field in where.sent(recipe) if getattr(recipe, field) != "")
        if with_it := [NAMES[field] for field in sent]:
            text += f", with {_listed(with_it)}"
        text += "."
        ignored = dict.fromkeys(part for recipe in own for part in where.ignored(recipe))
        if named := ["the seed of some" if part == "seed" and "seed" in sent else part for part in ignored]:
            text += f" Ignored there: {', '.join(named)}."
        if count < len(own):
            text += f" {len(own)} cells are the same question, so some show the same picture."
        yield text + (f" Price, as noted by whoever started this: {where.price}." if where.price else "")


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
