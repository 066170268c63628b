"""Several models as one engine, for grids that vary the model: each recipe goes to the model that it names."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Protocol

from typing_extensions import Unpack

from playground.engine.contract import (
    NOTHING,
    Answer,
    Ask,
    Done,
    Engine,
    Event,
    Failed,
    How,
    Keep,
    Outlook,
    Pictures,
    Result,
    Unread,
    Waiting,
)
from playground.models import Facts
from playground.models.anatomy import Anatomy, Cost
from playground.models.words import Words
from playground.recipe import Recipe
from playground.refusal import Refusal


class Member(Engine, Protocol):
    """One of them."""

    @property
    def is_there(self) -> bool:
        """Its model is in memory at the moment."""


class Several:
    """An `Engine`: that of the page's own model, which also draws what names another one of the house.

    Whatever is asked without a recipe is asked of the page's own. A run does the cells of one model after those of the
    other, so that each is read once; the model that is in memory comes first.
    """

    def __init__(self, own: Member, guests: Mapping[str, Member], hosted: Mapping[str, Member] | None = None) -> None:
        """`guests`: all of them by name, which may still come while pages are built, before anything is run. `hosted`:
        models that draw elsewhere, by name."""
        self._own, self._guests, self._hosted = own, guests, hosted or {}

    @property
    def facts(self) -> Facts:
        facts = self._own.facts
        return replace(facts, hosted=tuple(self._hosted)) if self._hosted else facts

    @property
    def runtime(self) -> str:
        return self._own.runtime

    def of(self, model: str) -> Member:
        return self._guests.get(model) or self._hosted.get(model) or self._own

    def words(self, text: str, chunks: int = 0) -> Words:
        return self._own.words(text, chunks)

    def anatomy(self, width: int, height: int) -> Anatomy:
        return self._own.anatomy(width, height)

    def cost(self, width: int, height: int) -> Cost:
        return self._own.cost(width, height)

    def ask(self, asks: Sequence[Ask], visitor: str = "", weight: float = 1.0) -> Iterator[Answer]:
        return self._own.ask(asks, visitor, weight)

    def check(self, recipe: Recipe) -> None:
        """For the views, which show the page's own model: `of` has that of another one."""
        self._own.check(recipe)

    def render(self, recipe: Recipe, pictures: Pictures | None = None) -> Result:
        return self.of(recipe.model).render(recipe, pictures)

    def estimate(self, recipes: Sequence[Recipe], keep: Keep = NOTHING) -> float | None:
        found = [guest.estimate([recipes[i] for i in cells], keep) for guest, cells in self._parts(recipes)]
        return None if None in found else sum(seconds for seconds in found if seconds is not None)

    def outlook(self, recipes: Sequence[Recipe], visitor: str = "", keep: Keep = NOTHING) -> Outlook:
        if not (parts := self._parts(recipes)):
            return self._own.outlook(recipes, visitor, keep)
        found = [(guest, guest.outlook([recipes[i] for i in cells], visitor, keep)) for guest, cells in parts]
        unknown = tuple(guest.facts.name for guest, outlook in found if outlook.seconds is None)
        seconds = None if unknown else sum(outlook.seconds or 0.0 for _, outlook in found)
        return Outlook(max(outlook.others for _, outlook in found), seconds, unknown)

    def run(self, cells: Sequence[Recipe], unread: Unread | None = None, **how: Unpack[How]) -> Iterator[Event]:
        """A model that cannot be read fails its own cells, where there are others. `start`: latents belong to one
        model, so it is for recipes of one. Raises Refusal where they are of several."""
        parts = self._parts(cells)
        if how.get("start") is not None and len(parts) > 1:
            raise Refusal("Latents to start from belong to one model.")
        for guest, places in parts:
            asked, left = [cells[i] for i in places], set(places)
            run = guest.run(asked, _at(unread, places), **how)
            try:
                with closing(run) as events:
                    for event in events:
                        if not isinstance(event, Waiting):
                            event = replace(event, cell=places[event.cell])
                            if isinstance(event, Done | Failed):
                                left.discard(event.cell)
                        yield event
            except Refusal as refusal:
                if len(parts) == 1:
                    raise
                for cell in sorted(left):
                    yield Failed(cell, str(refusal))

    def _parts(self, recipes: Sequence[Recipe]) -> list[tuple[Member, list[int]]]:
        """Each model with the places of its recipes, the one in memory first, the others as they come."""
        parts: dict[Member, list[int]] = {}
        for i, recipe in enumerate(recipes):
            parts.setdefault(self.of(recipe.model), []).append(i)
        return sorted(parts.items(), key=lambda part: not part[0].is_there)


def _at(unread: Unread | None, places: Sequence[int]) -> Unread | None:
    """The same, told the cells by their own places."""
    return None if unread is None else lambda done: unread(replace(done, cell=places[done.cell]))
