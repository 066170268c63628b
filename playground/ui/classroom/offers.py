"""The grids that a teacher can choose from without a link: those that Compare offers, small enough for a class."""

from playground.classroom.pushed import MOST_CELLS
from playground.engine import Engine
from playground.link import to_token
from playground.ui.shared.offered import examples_for


def grids(engine: Engine) -> list[tuple[str, str]]:
    """(title, token) of each."""
    found = examples_for(engine.facts, engine.check)
    small = [example for example in found if len(example.sweep.recipes()) <= MOST_CELLS]
    return [(example.title, to_token(example.sweep, engine.facts.usual)) for example in small]
