"""What the engine's tests share: a loop that is ticked by hand, and what was told, computed and drawn."""

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from playground import Recipe
from playground.engine import Done, Event, LocalEngine
from playground.engine.loop import Loop
from playground.engine.request import Request

BASE = Recipe(prompt="red apple, blue background", num_inference_steps=6, seed=4)


def pixels(result) -> np.ndarray:  # noqa: ANN001
    return np.asarray(result.image).astype(int)


def read(request: Request) -> list[Event]:
    events = []
    while request.unread:
        if (event := request.read()) is not None:
            events.append(event)
    return events


def all_done(engine: LocalEngine, cells: list[Recipe]) -> list[Done]:
    return sorted((e for e in engine.run(cells, previews=False) if isinstance(e, Done)), key=lambda e: e.cell)


def at_rest(engine: LocalEngine) -> None:
    """Wait for the last tick of a run that an earlier test left: its call must not be taken for one of this test."""
    while engine._arrived or engine.loop.busy or engine._ticking.locked():
        time.sleep(0.01)


def counted(loop_or_engine: Loop | LocalEngine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of every U-Net call from now on."""
    rows: list[int] = []
    before_each_call(loop_or_engine, monkeypatch, lambda x: rows.append(len(x)))
    return rows


def before_each_call(
    loop_or_engine: Loop | LocalEngine, monkeypatch: pytest.MonkeyPatch, do: Callable[[torch.Tensor], object]
) -> None:
    """`do` is told the latents of every call of the network from now on, by whichever runtime; what it raises is what
    the network raises."""
    if isinstance(loop_or_engine, LocalEngine):
        at_rest(loop_or_engine)
    model = loop_or_engine.model
    for name in ("predict", "predict_and_look"):
        real = getattr(model, name)
        monkeypatch.setattr(model, name, lambda x, *a, real=real, **k: (do(x), real(x, *a, **k))[1])
