"""A loop of the session's engine that nobody else ticks."""

import pytest

from playground.engine import LocalEngine
from playground.engine.loop import Loop
from tests.engine.support import at_rest


@pytest.fixture
def loop(engine: LocalEngine) -> Loop:
    at_rest(engine)
    loop = Loop(engine.model)
    loop.capacity.rows[1, 4, 16, 16] = 16
    return loop
