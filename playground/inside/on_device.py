"""Where the views' work with the model is done.

Everywhere but on ZeroGPU it is done here, in turns with the engine's ticks (`Engine.between_ticks`). On ZeroGPU the
device exists only inside a decorated generator in a forked worker, so a whole piece of work runs there, and plain data
crosses the process boundary: its name and arguments in; dataclasses, CPU tensors and PIL pictures out.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from playground.engine import Engine, zero_gpu
from playground.engine.zero_gpu import FIRST_SECONDS_PER_EVALUATION, LEAST_SECONDS, MOST_SECONDS, START_SECONDS, spaces

Work = Callable[..., Any]  # (engine, *plain data) -> plain data, or a generator of it

_works: dict[str, tuple[Work, Callable[..., int]]] = {}  # name -> the work, and its U-Net rows
_engine: Engine | None = None  # the worker is a fork, so it finds the model here; it could not be passed as data


class Worker(Engine):
    """The engine as a forked worker has it: the same model, and nobody else on it."""


def on_device(evaluations: Callable[..., int] = lambda *_, **__: 0) -> Callable[[Work], Work]:
    """Decorates a function or generator function whose first argument is the engine, so that it also runs on ZeroGPU.

    `evaluations` tells from the other arguments how many U-Net rows it will ask for, which decides for how many
    seconds a device is requested. The decorated function behaves the same in both places, errors for people
    (ValueError, RuntimeError, ArithmeticError) included; work may call other work.
    """

    def decorate(work: Work) -> Work:
        name = f"{work.__module__}.{work.__qualname__}"
        _works[name] = work, evaluations

        @wraps(work)
        def results(engine: Engine, *args: Any, **kwargs: Any) -> Iterator[Any]:
            yield from work(engine, *args, **kwargs) if _is_here(engine) else _lent(engine, name, args, kwargs)

        @wraps(work)
        def result(engine: Engine, *args: Any, **kwargs: Any) -> Any:
            if _is_here(engine):
                return work(engine, *args, **kwargs)
            (only,) = _lent(engine, name, args, kwargs)
            return only

        return results if inspect.isgeneratorfunction(work) else result

    return decorate


def _is_here(engine: Engine) -> bool:
    """True where this process has the device."""
    return not zero_gpu.ACTIVE or isinstance(engine, Worker)


def _duration(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Seconds to ask the platform for: by the measured speed where there is one, within what it grants."""
    assert _engine is not None
    each = _engine.loop.seconds_per_evaluation or FIRST_SECONDS_PER_EVALUATION
    seconds = _works[name][1](*args, **kwargs) * each
    return round(min(MOST_SECONDS, max(LEAST_SECONDS, START_SECONDS + 1.5 * seconds)))


@spaces.GPU(duration=_duration)
def _on_gpu(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
    """The results one by one; an error that people should read is the last of them, because the platform would tell
    no more than its class."""
    assert _engine is not None
    work, engine = _works[name][0], Worker(_engine.model)
    try:
        if inspect.isgeneratorfunction(work):
            yield from work(engine, *args, **kwargs)
        else:
            yield work(engine, *args, **kwargs)
    except (ValueError, RuntimeError, ArithmeticError) as error:
        yield error


def _lent(engine: Engine, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
    """The results of a worker that has the device."""
    global _engine
    _engine = engine
    for found in _on_gpu(name, args, kwargs):
        if isinstance(found, Exception):
            raise found
        yield found
