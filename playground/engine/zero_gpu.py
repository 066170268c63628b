"""ZeroGPU (Hugging Face Spaces): the device exists only inside a decorated generator in a forked worker.

So one visitor's whole grid is one call there, by the same loop as everywhere; what crosses the process boundary is
plain data: recipes as dictionaries in, events with PIL pictures and CPU tensors out.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from playground.engine.events import Done, Event, Measured
from playground.recipe import Recipe

ACTIVE = bool(os.environ.get("SPACES_ZERO_GPU"))  # set by the platform
LEAST_SECONDS, MOST_SECONDS = 15, 120
START_SECONDS = 5.0  # of a worker, generously; an estimate, used only to ask for enough time
FIRST_SECONDS_PER_EVALUATION = 0.05  # before any was measured; an estimate as well

try:
    import spaces
except ImportError:  # everywhere but on Spaces

    class spaces:  # noqa: N801
        @staticmethod
        def GPU(**_: Any) -> Any:
            return lambda function: function


class Known(Protocol):
    """What is remembered from worker to worker; the engine's loop."""

    measured: Measured


class Runner(Protocol):
    """What the worker asks of an engine."""

    loop: Known

    def estimate(self, recipes: Sequence[Recipe]) -> float | None: ...

    def run_here(self, cells: Sequence[Recipe], previews: bool, latents: bool) -> Iterator[Event]: ...


_engine: Runner | None = None  # the worker is a fork, so it finds the model here; it could not be passed as data


def duration(cells: Sequence[dict[str, Any]], previews: bool, latents: bool) -> int:
    """Seconds to ask for: by the measured speed where there is one, within what the platform grants."""
    assert _engine is not None
    recipes = [Recipe.from_dict(cell) for cell in cells]
    seconds = _engine.estimate(recipes)
    if seconds is None:
        seconds = sum(r.evaluations for r in recipes) * FIRST_SECONDS_PER_EVALUATION
    return round(min(MOST_SECONDS, max(LEAST_SECONDS, START_SECONDS + 1.5 * seconds)))


@spaces.GPU(duration=duration)
def _on_gpu(cells: Sequence[dict[str, Any]], previews: bool, latents: bool) -> Iterator[Event | Measured]:
    assert _engine is not None
    for event in _engine.run_here([Recipe.from_dict(cell) for cell in cells], previews, latents):
        if isinstance(event, Done):  # who waits for one picture reads no further
            yield _engine.loop.measured
        yield event


def run(engine: Runner, cells: Sequence[Recipe], previews: bool, latents: bool) -> Iterator[Event]:
    """Events of one visitor's cells, from a worker that has the device."""
    global _engine
    _engine = engine
    for event in _on_gpu([cell.to_dict() for cell in cells], previews, latents):
        if isinstance(event, Measured):
            engine.loop.measured = event
        else:
            yield event
