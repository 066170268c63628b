"""The teacher's runs come first: everybody waits for what everybody is shown."""

from collections.abc import Iterator
from typing import Any

from playground.engine import Answer, Engine, Event

WEIGHT = 30.0  # visitors' shares: among thirty who run something of their own, half of the machine


class FirstServed:
    """An engine as a class has it: the same one, with a larger share of every network call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run(self, *args: Any, **options: Any) -> Iterator[Event]:
        return self._engine.run(*args, **options, weight=WEIGHT)

    def ask(self, *args: Any, **options: Any) -> Iterator[Answer]:
        return self._engine.ask(*args, **options, weight=WEIGHT)
