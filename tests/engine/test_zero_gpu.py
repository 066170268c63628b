"""The same engine in ZeroGPU's workers: plain data across the border, and nothing lost there."""

import pickle
from collections.abc import Iterator

import numpy as np
import pytest

from playground.engine import Done, LocalEngine, Step, zero_gpu
from playground.engine.contract import Measured
from tests.engine.support import BASE, pixels


def test_two_engines_in_one_process_do_not_know_each_other(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On ZeroGPU the worker is told by a key whose engine it is."""
    monkeypatch.setattr(zero_gpu, "ACTIVE", True)
    other = LocalEngine(engine.model)
    other.loop.measured = Measured({(1, 4, 16, 16): 4}, 100.0)  # seconds an evaluation
    assert zero_gpu.duration(other.key, [BASE], {}) == 120
    assert zero_gpu.duration(engine.key, [BASE], {}) < 120
    first = engine.run([BASE])
    next(first)
    other.render(BASE)
    assert isinstance([*first][-1], Done)
    other.close()


def test_stopping_on_zero_gpu_loses_no_finished_cell(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zero_gpu, "ACTIVE", True)
    monkeypatch.setitem(engine.loop.capacity.rows, (1, 4, 16, 16), 16)  # whatever this machine has learned so far
    cells = [BASE.replace(seed=s, num_inference_steps=2) for s in range(4)]
    saved: list[int] = []
    run = engine.run(cells, unread=lambda done: saved.append(done.cell))
    for event in run:
        if isinstance(event, Done):  # all four are decoded together, so three are finished and not yet read
            break
    run.close()
    assert sorted([event.cell, *saved]) == [0, 1, 2, 3]


def test_a_zero_gpu_worker_draws_the_same_and_says_it_in_plain_data(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = engine.render(BASE)
    monkeypatch.setattr(zero_gpu, "ACTIVE", True)
    events = [pickle.loads(pickle.dumps(e)) for e in engine.run([BASE, BASE.replace(seed=1)])]
    done = {e.cell: e.result for e in events if isinstance(e, Done)}
    assert sorted(done) == [0, 1] and [e.k for e in events if isinstance(e, Step) and e.cell == 0][:3] == [1, 2, 3]
    assert np.abs(pixels(done[0]) - pixels(expected)).max() <= 2
    assert 15 <= zero_gpu.duration(engine.key, [BASE] * 4, {}) <= 120
    monkeypatch.setattr(zero_gpu, "run", None)
    engine.warm_up()  # asks for no device


def test_a_zero_gpu_worker_measures_for_those_that_come_after_it(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is a fork: what it learns is gone with it, unless it says so."""
    here, began_with = LocalEngine(engine.model), []

    def fork(key: int, *asked: object) -> Iterator[object]:
        worker = LocalEngine(engine.model)
        worker.loop.measured = here.loop.measured
        began_with.append(worker.loop.measured.rows)
        yield from (pickle.loads(pickle.dumps(batch)) for batch in real(worker.key, *asked))

    real = zero_gpu._on_gpu
    monkeypatch.setattr(zero_gpu, "ACTIVE", True)
    monkeypatch.setattr(zero_gpu, "_on_gpu", fork)
    assert here.estimate([BASE]) is None
    for _ in range(2):
        here.render(BASE)
    assert began_with[0] == {} and began_with[1].keys() == {(1, 4, 16, 16)}
    assert here.estimate([BASE]) > 0
