"""A grid over models of which some are made for other sizes than the one that is asked for."""

from collections.abc import Callable

from playground.models.facts import Facts
from playground.sweep import SIZE, Sweep


def with_own_sizes(sweep: Sweep, facts_of: Callable[[str], Facts]) -> Sweep:
    """The sweep with each model that the base's size does not fit in the size that it is made for, said in the values
    of its axis; every model's size is said there then. A sweep that varies or says sizes itself stays as it is, and so
    does one that varies no model.

    `facts_of` gives the facts of a model by its name; of a name that it does not know, those of another one.
    """
    names, base = sweep.axes.get("model", []), sweep.base
    if sweep.own_sizes or not names or {SIZE, "width", "height"} & set(sweep.axes):
        return sweep
    if all(facts_of(name).fits(base.width, base.height) for name in names):
        return sweep
    values = []
    for name in names:
        usual = facts_of(name).usual
        side = base if facts_of(name).fits(base.width, base.height) else usual
        values.append({"model": name, "width": side.width, "height": side.height})
    return Sweep(base, sweep.axes | {"model": values}, sweep.seeds)
