"""One model of a house, as an engine of its own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from typing_extensions import Unpack

from playground.engine.contract import (
    NOTHING,
    Answer,
    Ask,
    Event,
    How,
    Keep,
    Measured,
    Outlook,
    Pictures,
    Result,
    Unread,
    Waiting,
    seconds_of,
)
from playground.engine.house import TOLD_EVERY, House
from playground.engine.local import LocalEngine
from playground.models import Facts
from playground.models.anatomy import Anatomy, Cost
from playground.models.words import Words
from playground.recipe import Recipe
from playground.sources.given import Source

T = TypeVar("T")


class Guest:
    """The `Engine` of one model of a house. What its methods do is said in the contract."""

    facts: Facts

    def __init__(self, house: House, source: Source) -> None:
        """Its model is read once now, for what is said of it later. Raises Refusal where it cannot be."""
        self.source, self.name = source, source.name
        self.measured = Measured()
        self.seconds_to_read = 0.0  # as measured the last time
        self._house = house
        self._anatomy: dict[tuple[int, int], Anatomy] = {}
        self._cost: dict[tuple[int, int], Cost] = {}
        self.words: Callable[..., Words]
        with house.model(self) as engine:
            self.facts, self.words = engine.facts, engine.model.words
            size = engine.facts.usual.width, engine.facts.usual.height
            if self.facts.whole:  # nothing is known of its parts
                return
            self._anatomy[size], self._cost[size] = engine.anatomy(*size), engine.cost(*size)

    def say_others(self, others: dict[str, str]) -> None:
        """Names and addresses of the models beside it, for recipes that name one of them."""
        self.facts = replace(self.facts, others=others)

    @property
    def runtime(self) -> str:
        engine = self._house.is_there(self)
        return "read into memory when used" if engine is None else engine.runtime

    @property
    def is_there(self) -> bool:
        """Its model is in memory at the moment."""
        return self._house.is_there(self) is not None

    def of(self, model: str) -> "Guest":
        return self

    def check(self, recipe: Recipe) -> None:
        """LoRA files are read where the model is in memory; else its runs find what is wrong with them."""
        self.facts.check(recipe)
        if (engine := self._house.is_there(self)) is not None:
            engine.check(recipe)

    def anatomy(self, width: int, height: int) -> Anatomy:
        if (width, height) not in self._anatomy:
            self._anatomy[width, height] = self._told(lambda engine: engine.anatomy(width, height))
        return self._anatomy[width, height]

    def cost(self, width: int, height: int) -> Cost:
        if (width, height) not in self._cost:
            self._cost[width, height] = self._told(lambda engine: engine.cost(width, height))
        return self._cost[width, height]

    def _told(self, ask: Callable[[LocalEngine], T]) -> T:
        """What a model says of its shapes: at once where it is there, also from within a run; else when it has come."""
        if (engine := self._house.is_there(self)) is not None:
            return ask(engine)
        with self._house.model(self) as engine:
            return ask(engine)

    def estimate(self, recipes: Sequence[Recipe], keep: Keep = NOTHING) -> float | None:
        engine = self._house.is_there(self)
        measured = self.measured if engine is None else engine.loop.measured
        return seconds_of(recipes, self.facts, measured, keep)

    def outlook(self, recipes: Sequence[Recipe], visitor: str = "", keep: Keep = NOTHING) -> Outlook:
        if (engine := self._house.is_there(self)) is not None:
            return engine.outlook(recipes, visitor, keep)
        alone = self.estimate(recipes, keep)
        return Outlook(self._house.others(), None if alone is None else alone + self.seconds_to_read)

    def render(self, recipe: Recipe, pictures: Pictures | None = None) -> Result:
        with self._house.model(self) as engine:
            return engine.render(recipe, pictures)

    def run(self, cells: Sequence[Recipe], unread: Unread | None = None, **how: Unpack[How]) -> Iterator[Event]:
        if not cells:
            return
        turn = self._house.turn(self)
        try:
            while (engine := self._house.enter(turn, TOLD_EVERY)) is None:
                yield Waiting(self._house.others() - 1, None, self._house.said(self))
            yield from engine.run(cells, unread, **how)
        finally:
            self._house.leave(turn)

    def ask(self, asks: Sequence[Ask], visitor: str = "", weight: float = 1.0) -> Iterator[Answer]:
        with self._house.model(self) as engine:
            yield from engine.ask(asks, visitor, weight)
