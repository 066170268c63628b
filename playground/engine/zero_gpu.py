"""ZeroGPU (Hugging Face Spaces): the device exists only inside a decorated generator in a forked worker.

So one visitor's whole request is one call there, by the same loop as everywhere; what crosses the process boundary is
plain data, as the contract has it.
"""

import itertools
import os
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from typing_extensions import Unpack

from playground.engine.contract import Ask, Done, Event, How, Measured, Unread, evaluations
from playground.models import Facts
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
    seconds_per_evaluation: float


class Runner(Protocol):
    """What the worker asks of an engine."""

    key: int
    facts: Facts
    loop: Known

    def batches_here(self, cells: Sequence[Recipe | Ask], **how: Unpack[How]) -> Iterator[list[Event]]: ...


# The worker is a fork, so it finds the engine here; it could not be passed as data, but its key can.
_engines: "weakref.WeakValueDictionary[int, Runner]" = weakref.WeakValueDictionary()
_keys = itertools.count()


def known(engine: Runner) -> int:
    """Makes an engine known to the workers -> its key."""
    key = next(_keys)
    _engines[key] = engine
    return key


def duration(key: int, cells: Sequence[Recipe | Ask], how: How) -> int:  # with the parameters of `_on_gpu`
    """Seconds to ask for: by the measured speed where there is one, within what the platform grants."""
    engine = _engines[key]
    each = engine.loop.seconds_per_evaluation or FIRST_SECONDS_PER_EVALUATION
    seconds = each * sum(evaluations(cell, engine.facts, how.get("keep")) for cell in cells)
    return round(min(MOST_SECONDS, max(LEAST_SECONDS, START_SECONDS + 1.5 * seconds)))


@spaces.GPU(duration=duration)
def _on_gpu(key: int, cells: Sequence[Recipe | Ask], how: How) -> Iterator[tuple[list[Event], Measured]]:
    engine = _engines[key]
    for batch in engine.batches_here(cells, **how):
        yield batch, engine.loop.measured


def run(
    engine: Runner,
    cells: Sequence[Recipe | Ask],
    unread: Unread | None = None,
    **how: Unpack[How],
) -> Iterator[Event]:
    """Events of one visitor's cells, from a worker that has the device; `unread` as in the contract."""
    batch: list[Event] = []
    try:
        for batch, measured in _on_gpu(engine.key, list(cells), how):
            engine.loop.measured = measured
            while batch:
                yield batch.pop(0)
    finally:
        for event in batch:
            if unread is not None and isinstance(event, Done):
                unread(event)
