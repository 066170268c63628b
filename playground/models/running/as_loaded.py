"""Models whose networks run as PyTorch has loaded them."""

from collections.abc import Callable

from playground.models.facts import Facts
from playground.refusal import Refusal


class AsLoaded:
    """What a `Model` or a `WholeModel` says of converting and compiling where neither is done."""

    facts: Facts

    @property
    def runtime(self) -> str:
        return "PyTorch"

    def convert(self) -> None:
        """Nothing: only the U-Nets of families are converted."""

    def wait_until_converted(self, seconds: float | None = None) -> None:
        """There is nothing to wait for."""

    def compile(self, backend: str | Callable = "inductor") -> None:
        raise Refusal(f"{self.facts.family} is not compiled here; start without --compile.")
