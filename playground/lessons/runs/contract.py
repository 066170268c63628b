"""What every kind of run is to the rest of the lessons."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from PIL import Image

from playground.engine import Engine, Waiting
from playground.models import Facts
from playground.recipe import Recipe
from playground.refusal import Refusal
from playground.store import Store

MOST_CELLS = 8  # frames of one step
SECONDS = 10  # that a step should take at most on two cores; the checker says so where it takes longer


@dataclass(frozen=True, eq=False)
class Preview:
    """A cell on its way."""

    cell: int
    picture: Image.Image | None
    share: float  # of its run, 0 … 1


@dataclass(frozen=True, eq=False)
class Outcome:
    """All cells of a finished run: a picture for each, and by measure a number for each (None where it has none)."""

    pictures: tuple[Image.Image, ...]
    values: Mapping[str, tuple[float | None, ...]]
    seconds: float = 0.0
    kept: int = 0  # pictures that were drawn before and taken from the store


@dataclass(frozen=True)
class Run(Protocol):
    """One kind of run, with what its file says of it."""

    measures: ClassVar[tuple[str, ...]]  # what it can be asked about

    @property
    def tiles(self) -> tuple[int, int]:
        """How many pictures stand beside and below each other in one cell."""

    def labels(self, facts: Facts) -> Sequence[str]:
        """One for each cell. Raises Refusal where this model cannot run it."""

    def denoised(self, facts: Facts) -> Sequence[Recipe]:
        """The recipes that it would have the engine denoise, for what is said of its time; none where it is quick.
        Raises Refusal where this model cannot run it."""

    def perform(self, engine: Engine, store: Store, visitor: str = "") -> Iterator[Waiting | Preview | Outcome]:
        """What it waits for and Previews, then the Outcome. Raises Refusal with its reason where it cannot be done."""


class OneEach:
    """Of runs whose cells hold one picture each."""

    tiles: ClassVar[tuple[int, int]] = (1, 1)

    def denoised(self, facts: Facts) -> Sequence[Recipe]:
        return ()


def taken(data: Mapping[str, Any], known: Mapping[str, type | tuple[type, ...]], needed: Sequence[str]) -> None:
    """Raises Refusal for a key that is not known, one that is missing, and a value of the wrong kind."""
    for key, value in data.items():
        if key not in known:
            raise Refusal(f"“{key}” is not known here; known: {', '.join(known)}.")
        if not isinstance(value, known[key]) or (isinstance(value, bool) and known[key] is not bool):
            raise Refusal(f"“{key}” has a value of the wrong kind.")
    for key in needed:
        if key not in data:
            raise Refusal(f"“{key}” is missing.")


def whole_numbers(data: Mapping[str, Any], key: str, low: int, high: int) -> tuple[int, ...]:
    """A list of one to MOST_CELLS whole numbers in low … high."""
    values = data[key]
    if not 1 <= len(values) <= MOST_CELLS or not all(
        isinstance(v, int) and not isinstance(v, bool) and low <= v <= high for v in values
    ):
        raise Refusal(f"“{key}” needs 1 to {MOST_CELLS} whole numbers from {low} to {high:,}.")
    return tuple(values)
