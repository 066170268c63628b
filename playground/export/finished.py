"""A grid whose pictures are drawn, as everything that is taken away needs it."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from PIL import Image

from playground.engine import Result
from playground.labels import Axis, axes_of, common_of, named
from playground.models import Facts, honours_of
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.sweep import Sweep


@dataclass(frozen=True, eq=False)
class Steps:
    """Some network calls of one run as pictures, side by side in a strip each."""

    calls: list[int]  # counted from 1
    of: int
    timesteps: list[float]  # that the network was told at these calls
    x0: Image.Image  # x̂₀
    x_t: Image.Image


@dataclass(frozen=True, eq=False)
class FinishedGrid:
    """A sweep and what was drawn of it, in the order of its recipes; None where a picture is missing."""

    sweep: Sweep
    results: tuple[Result | None, ...]
    facts_of: Callable[[str], Facts] | None = None  # of the engine that drew them, by the name of the model
    steps: tuple[Steps | None, ...] = ()  # of each picture's run, as far as they are kept

    @cached_property
    def recipes(self) -> list[Recipe]:
        return self.sweep.recipes()

    @cached_property
    def axes(self) -> list[Axis]:
        """The slowest first, the columns last."""
        return axes_of(self.sweep)

    @property
    def fixed(self) -> str:
        """What all cells have in common, as one line, without what their models do not honour."""
        return common_of(self.recipes, honours_of(self.facts_of))

    @property
    def origins(self) -> list[str]:
        """What is said of the pictures that were not drawn here, each sentence once."""
        return list(dict.fromkeys(result.elsewhere for result in self.results if result and result.elsewhere))

    @property
    def columns(self) -> list[str]:
        """The labels of the last axis."""
        return self.axes[-1].labels

    @property
    def rows(self) -> list[str]:
        """One label for each row: the values of all other axes. A grid of one axis has one row, without a label."""
        others = self.axes[:-1]
        if not others:
            return [""]
        return [
            ", ".join(named(axis.key, label) for axis, label in zip(others, labels, strict=True))
            for labels in itertools.product(*(axis.labels for axis in others))
        ]

    @property
    def labels(self) -> list[str]:
        """One for each picture: its value on every axis."""
        return [
            ", ".join(named(axis.key, label) for axis, label in zip(self.axes, labels, strict=True))
            for labels in itertools.product(*(axis.labels for axis in self.axes))
        ]


def finished(
    sweep: Sweep, find: Callable[[Recipe], Result | None], facts_of: Callable[[str], Facts] | None = None
) -> FinishedGrid:
    """The grid with the picture that `find` has of each recipe. Raises Refusal where it has none at all."""
    grid = FinishedGrid(sweep, tuple(find(recipe) for recipe in sweep.recipes()), facts_of)
    if not any(grid.results):
        raise Refusal("No picture of this grid is there yet; press Run first.")
    return grid
