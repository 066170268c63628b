"""Many visitors on one engine: work joined, shared fairly, done once, and never lost to somebody else's fault."""

import gc
import threading
import time
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from playground import open_engine
from playground.engine import Done, Failed, LocalEngine, Step, Waiting
from playground.engine.contract import Event, Outlook
from playground.engine.local import RESTARTED
from playground.engine.loop import Loop
from playground.engine.request import Request
from playground.refusal import Refusal
from tests.engine.support import BASE, counted, pixels, read


def test_different_samplers_steps_guidance_and_visitors_share_one_network_call(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = counted(loop, monkeypatch)
    loop.add(Request([BASE, BASE.replace(sampler="euler_a", num_inference_steps=9, seed=1)]))
    loop.add(Request([BASE.replace(sampler="heun", guidance_scale=1.0, seed=2)]))
    loop.tick()
    loop.tick()
    assert rows == [5, 5]


def test_cells_at_the_same_point_of_the_same_schedule_take_one_scheduler_step(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import DPMSolverMultistepScheduler

    batches: list[int] = []
    real = DPMSolverMultistepScheduler.step
    monkeypatch.setattr(
        DPMSolverMultistepScheduler,
        "step",
        lambda self, output, *a, **k: (batches.append(len(output)), real(self, output, *a, **k))[1],
    )
    loop.add(Request([BASE.replace(guidance_scale=g) for g in (1, 2, 3, 5)]))
    loop.tick()
    loop.tick()
    assert batches == [4, 4]


def test_a_visitor_who_comes_later_joins_at_the_next_tick(loop: Loop) -> None:
    first, second = Request([BASE]), Request([BASE.replace(seed=9)])
    loop.add(first)
    loop.tick()
    loop.tick()
    loop.add(second)
    loop.tick()
    assert [e.k for e in read(first)] == [1, 2, 3] and [e.k for e in read(second)] == [1]


def test_one_cell_is_not_stuck_behind_a_hundred(loop: Loop) -> None:
    crowd, one = Request([BASE.replace(seed=s) for s in range(100)]), Request([BASE.replace(prompt="cat")])
    loop.add(crowd)
    loop.tick()
    loop.add(one)
    for _ in range(BASE.num_inference_steps + 1):  # its own steps, and the tick that decodes
        loop.tick()
    assert isinstance(read(one)[-1], Done)
    assert not [e for e in read(crowd) if isinstance(e, Done)]


def test_visitors_get_equal_shares_of_the_network_however_many_cells_they_ask_for(loop: Loop) -> None:
    small = Request([BASE.replace(num_inference_steps=200, seed=s) for s in range(8)])
    large = Request([BASE.replace(num_inference_steps=200, seed=s) for s in range(100, 160)])
    heavy = Request([BASE.replace(num_inference_steps=200, seed=s) for s in range(200, 208)], weight=2.0)
    for request in (small, large, heavy):
        loop.add(request)
    for _ in range(12):
        loop.tick()
    steps = [len([e for e in read(r) if isinstance(e, Step)]) for r in (small, large, heavy)]
    # some calls are made with more or fewer rows, to learn which are best
    assert [4 * s / sum(steps) for s in steps] == pytest.approx([1, 1, 2], abs=0.1) and sum(steps) >= 90


def test_several_runs_of_one_visitor_have_one_share_together(loop: Loop) -> None:
    def asked(first: int, visitor: str) -> Request:
        return Request([BASE.replace(num_inference_steps=200, seed=first + s) for s in range(8)], visitor=visitor)

    twice, other, unknown = [asked(0, "a"), asked(10, "a")], asked(20, "b"), [asked(30, ""), asked(40, "")]
    for request in (*twice, other, *unknown):
        loop.add(request)
    for _ in range(10):
        loop.tick()
    steps = [len([e for e in read(r) if isinstance(e, Step)]) for r in (*twice, other, *unknown)]
    # whoever is not known may be anybody, so each of their runs has a share of its own
    assert [8 * s / sum(steps) for s in steps] == pytest.approx([1, 1, 2, 2, 2], abs=0.4) and sum(steps) >= 60


def test_every_visitor_of_a_crowd_sees_something_within_two_rounds(loop: Loop) -> None:
    visitors = [Request([BASE.replace(seed=10 * v + i) for i in range(5)]) for v in range(16)]
    for request in visitors:
        loop.add(request)
    loop.tick()
    loop.tick()  # 16 rows a tick are 8 guided cells, so two ticks serve all sixteen once
    first = [read(request) for request in visitors]
    assert all(len(events) == 1 and events[0].preview is not None for events in first)


def test_two_visitors_with_the_same_recipe_share_one_trajectory(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = counted(loop, monkeypatch)
    first, second = Request([BASE]), Request([BASE.replace(seed=1), BASE])
    loop.add(first)
    loop.tick()
    loop.add(second)
    while loop.busy:
        loop.tick()
    one, other = read(first)[-1], next(e for e in read(second) if isinstance(e, Done) and e.cell == 1)
    assert np.array_equal(pixels(one.result), pixels(other.result))
    whole = 2 * BASE.calls  # guided
    assert one.result.shared == 0 and other.result.shared == whole
    assert sum(rows) == 2 * whole  # of two different recipes, not of three cells


def test_leaving_a_shared_trajectory_does_not_take_it_from_the_other(loop: Loop) -> None:
    first, second = Request([BASE]), Request([BASE])
    loop.add(first)
    loop.add(second)
    loop.tick()
    first.cancelled = True
    while loop.busy:
        loop.tick()
    assert isinstance(read(second)[-1], Done) and not [e for e in read(first) if isinstance(e, Done)]


def test_visitors_in_threads_get_the_pictures_that_each_would_get_alone(engine: LocalEngine) -> None:
    recipes = [
        [BASE.replace(sampler=s, seed=10 * v + i) for i, s in enumerate(("ddpm", "euler_a", "dpmpp_2m"))]
        for v in range(4)
    ]
    found: dict[int, dict[int, Done]] = {}

    def visit(v: int) -> None:
        found[v] = {e.cell: e for e in engine.run(recipes[v]) if isinstance(e, Done)}

    threads = [threading.Thread(target=visit, args=(v,)) for v in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for v in range(4):
        for i, recipe in enumerate(recipes[v]):
            assert np.abs(pixels(found[v][i].result) - pixels(engine.render(recipe))).max() <= 2


def test_the_page_can_say_how_many_are_ahead_and_how_long_it_takes(engine: LocalEngine) -> None:
    alone = engine.outlook([BASE])
    assert alone.others == 0 and alone.seconds == pytest.approx(engine.estimate([BASE]))
    busy = engine.run([BASE.replace(num_inference_steps=400, seed=s) for s in range(4)])
    next(busy)
    among = engine.outlook([BASE])
    # the crowd still needs more than this recipe does, so an equal share doubles the network's part of the wait
    expected = engine.estimate([BASE]) + engine.facts.evaluations(BASE) * engine.loop.seconds_per_evaluation
    assert among.others == 1 and among.seconds == pytest.approx(expected, rel=0.5)
    second = engine.run([BASE])
    assert isinstance(event := next(second), Waiting) and event.others == 1
    second.close()
    busy.close()


def test_what_is_drawn_before_anybody_asks_takes_time_but_is_no_other_run(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Outlook] = []

    def watched(*given, _run=engine.run, **how) -> Iterator[Event]:  # noqa: ANN002, ANN003
        for event in _run(*given, **how):
            told.append(engine.outlook([BASE], "a visitor"))
            yield event

    monkeypatch.setattr(engine, "run", watched)
    engine.warm_up()
    assert told[0].seconds > engine.estimate([BASE]) and {outlook.others for outlook in told} == {0}


def test_a_fault_of_the_loop_is_told_and_the_engine_goes_on(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, faults = Loop._choose, iter([True])

    def faulty(self: Loop) -> list:
        if next(faults, False):
            raise KeyError("a bug")
        return real(self)

    monkeypatch.setattr(Loop, "_choose", faulty)
    events = list(engine.run([BASE, BASE.replace(seed=1)]))
    assert sorted((e.cell, e.reason) for e in events if isinstance(e, Failed)) == [(0, RESTARTED), (1, RESTARTED)]
    assert engine.render(BASE).image.size == (128, 128)


def test_a_lost_thread_is_replaced(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Thread(target=lambda: None)
    gone.start()
    gone.join()
    while engine.loop.busy:
        time.sleep(0.01)
    monkeypatch.setattr(engine, "_thread", gone)
    assert engine.render(BASE).image.size == (128, 128)


def test_a_replaced_engine_ends_its_runs_and_frees_its_model() -> None:
    other = open_engine("pocket", torch.device("cpu"), torch.float32)
    other.model.wait_until_converted()
    other.anatomy(128, 128)
    other.words("cat")
    run = other.run([BASE.replace(num_inference_steps=900)])
    next(run)
    other.close()
    *_, last = run
    assert isinstance(last, Failed) and "replaced" in last.reason
    with pytest.raises(Refusal, match="replaced"):
        other.render(BASE)
    gone = weakref.ref(other.model.unet)
    del other, run
    gc.collect()
    assert gone() is None


def test_a_reader_who_does_not_read_costs_no_pictures() -> None:
    request = Request([BASE])
    picture = object()
    for k in range(600):
        request.tell(Step(0, k, 600, picture))  # type: ignore[arg-type]
    told = read(request)
    assert len(told) == 600 and told[0].preview is picture and told[-1].preview is None
