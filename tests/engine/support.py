"""What the engine's tests share: a loop that is ticked by hand, and what was told, computed and drawn."""

import numpy as np
import pytest

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
    return sorted((e for e in engine.run(cells, False) if isinstance(e, Done)), key=lambda e: e.cell)


def counted(loop_or_engine: Loop | LocalEngine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of every U-Net call from now on."""
    rows: list[int] = []
    unet = loop_or_engine.model.unet
    real = unet.forward
    monkeypatch.setattr(unet, "forward", lambda x, *a, **k: (rows.append(len(x)), real(x, *a, **k))[1])
    return rows
