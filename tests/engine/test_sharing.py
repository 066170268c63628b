"""Many visitors on one engine: work joined, shared fairly, done once, and never lost to somebody else's fault."""

import gc
import pickle
import threading
import time
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from playground import Recipe, open_engine
from playground.engine import Begin, Decode, Done, Event, Failed, LocalEngine, Question, Step, Waiting, zero_gpu
from playground.engine.capacity import Capacity
from playground.engine.contract import Keep, Measured
from playground.engine.local import RESTARTED
from playground.engine.loop import Loop
from playground.engine.request import Request
from playground.refusal import Refusal
from playground.schedule import levels

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


@pytest.fixture
def loop(engine: LocalEngine) -> Loop:
    loop = Loop(engine.model)
    loop.capacity.rows[1, 4, 16, 16] = 16
    return loop


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
    assert steps == pytest.approx([24, 24, 48], abs=2)


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
    assert one.result.shared == 0 and other.result.shared == BASE.evaluations
    assert sum(rows) == 2 * BASE.evaluations  # of two different recipes, not of three cells


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
    expected = engine.estimate([BASE]) + BASE.evaluations * engine.loop.seconds_per_evaluation
    assert among.others == 1 and among.seconds == pytest.approx(expected, rel=0.5)
    second = engine.run([BASE])
    assert isinstance(event := next(second), Waiting) and event.others == 1
    second.close()
    busy.close()


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


def test_a_single_question_is_answered_in_its_turn_while_a_grid_runs(engine: LocalEngine) -> None:
    run = engine.run([BASE.replace(num_inference_steps=500)])
    next(run)
    x_t = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    (answer,) = engine.ask([Question(x_t, 500, ("cat", ""))])
    ticks = next(e.k for e in run if isinstance(e, Step))
    run.close()
    assert answer.value.shape == (2, 4, 16, 16) and ticks < 100


def test_questions_of_views_share_calls_with_everybodys_cells(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = counted(loop, monkeypatch)
    x_t = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    view, grid = Request([Question(x_t, t, ("cat", "dog", "")) for t in (100, 900)]), Request([BASE])
    loop.add(view)
    loop.add(grid)
    loop.tick()
    assert rows == [8]  # two questions of three texts, and a guided cell
    assert sorted(e.cell for e in read(view)) == [0, 1] and [e.k for e in read(grid)] == [1]


def test_other_work_waits_its_turn_and_lets_others_have_theirs(loop: Loop) -> None:
    many = Request([Decode(torch.zeros(1, 4, 16, 16)) for _ in range(40)])
    one, grid = Request([Begin(BASE)]), Request([BASE])
    loop.add(many)
    loop.tick()
    loop.add(one)
    loop.add(grid)
    loop.tick()
    loop.tick()
    assert [type(e.value).__name__ for e in read(one)] == ["Begun"]
    assert [e.k for e in read(grid)] == [1, 2] and len(read(many)) <= 3


def test_bad_questions_fail_alone_with_a_sentence(engine: LocalEngine) -> None:
    x_t = torch.zeros(1, 4, 16, 16)
    for question, words in (
        (Question(x_t, 1000, ("",)), "t must be a whole number from 0 to 999."),
        (Question(x_t, 5, ("",), (("nope", 1.0),)), "There is no LoRA named 'nope'"),
        (Question(torch.zeros(1, 3, 16, 16), 5, ("",)), "latents"),
    ):
        with pytest.raises(Refusal, match=words):
            list(engine.ask([question]))
    assert list(engine.ask([])) == []


def test_what_is_kept_of_a_run_is_what_its_network_saw_and_answered(engine: LocalEngine) -> None:
    """Held against the pieces themselves: the closed form of x̂₀, and the network asked again."""
    keep, seen = Keep(latents=True, predictions=True, attention=True, pictures=frozenset({0, 3})), []
    for event in engine.run([BASE], keep=keep):
        if isinstance(event, Step):
            seen.append(event)
    assert [sorted(e.kept.pictures) for e in seen] == [
        ["x0", "x0_cond", "x0_uncond", "x_t"] if k in (0, 3) else [] for k in range(6)
    ]
    assert all(e.kept.look is not None and e.seconds > 0 for e in seen)
    for event, level in zip(seen, levels(BASE, engine.facts.schedule), strict=False):
        kept = event.kept
        again = next(engine.ask([Question(kept.x_t, round(event.t), ("", BASE.prompt))])).value
        if event.t == round(event.t):
            assert torch.allclose(again, torch.cat([kept.eps_uncond, kept.eps_cond]), atol=1e-4)
        guided = kept.eps_uncond + BASE.guidance_scale * (kept.eps_cond - kept.eps_uncond)
        assert torch.allclose(kept.eps, guided, atol=1e-4)
        assert torch.allclose(level.signal * kept.x0 + level.noise * kept.eps, kept.x_t, atol=1e-3)
        for size, maps in kept.look.maps.items():
            assert torch.allclose(maps.sum(0), torch.ones(size), atol=1e-4)  # every place shares out all of itself


def test_without_guidance_both_answers_are_kept_and_the_picture_stays(engine: LocalEngine) -> None:
    plain = BASE.replace(guidance_scale=1.0)
    events = list(engine.run([plain], keep=Keep(predictions=True)))
    kept = [e.kept for e in events if isinstance(e, Step)]
    assert all(torch.equal(k.eps, k.eps_cond) and not torch.equal(k.eps, k.eps_uncond) for k in kept)
    (done,) = [e for e in events if isinstance(e, Done)]
    assert np.abs(pixels(done.result) - pixels(engine.render(plain))).max() <= 2
    assert done.result.evaluations == plain.evaluations  # what a picture needs, not what was looked at


def test_keeping_everything_changes_no_picture_and_joins_everybodys_calls(
    loop: Loop, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = counted(loop, monkeypatch)
    film, grid = Request([BASE], keep=Keep(predictions=True)), Request([BASE.replace(seed=s) for s in (1, 2)])
    loop.add(film)
    loop.add(grid)
    while loop.busy:
        loop.tick()
    assert set(rows[:6]) == {6}
    (done,) = [e for e in read(film) if isinstance(e, Done)]
    assert np.abs(pixels(done.result) - pixels(engine.render(BASE))).max() <= 2


def test_a_replaced_engine_ends_its_runs_and_frees_its_model() -> None:
    other = open_engine("pocket", torch.device("cpu"), torch.float32)
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


def test_two_engines_in_one_process_do_not_know_each_other(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On ZeroGPU the worker is told by a key whose engine it is."""
    monkeypatch.setattr(zero_gpu, "ACTIVE", True)
    other = LocalEngine(engine.model)
    other.loop.measured = Measured({(1, 4, 16, 16): 4}, 100.0)  # seconds an evaluation
    assert zero_gpu.duration(other.key, [BASE], True, Keep(), None) == 120
    assert zero_gpu.duration(engine.key, [BASE], True, Keep(), None) < 120
    first = engine.run([BASE])
    next(first)
    other.render(BASE)
    assert isinstance([*first][-1], Done)
    other.close()


def test_stopping_on_zero_gpu_loses_no_finished_cell(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zero_gpu, "ACTIVE", True)
    cells = [BASE.replace(seed=s, num_inference_steps=2) for s in range(4)]
    saved: list[int] = []
    run = engine.run(cells, unread=lambda done: saved.append(done.cell))
    for event in run:
        if isinstance(event, Done):  # all four are decoded together, so three are finished and not yet read
            break
    run.close()
    assert sorted([event.cell, *saved]) == [0, 1, 2, 3]


def test_a_reader_who_does_not_read_costs_no_pictures() -> None:
    request = Request([BASE])
    picture = object()
    for k in range(600):
        request.tell(Step(0, k, 600, picture))  # type: ignore[arg-type]
    told = read(request)
    assert len(told) == 600 and told[0].preview is picture and told[-1].preview is None


def test_a_zero_gpu_worker_draws_the_same_and_says_it_in_plain_data(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = engine.render(BASE)
    monkeypatch.setattr(zero_gpu, "ACTIVE", True)
    events = [pickle.loads(pickle.dumps(e)) for e in engine.run([BASE, BASE.replace(seed=1)])]
    done = {e.cell: e.result for e in events if isinstance(e, Done)}
    assert sorted(done) == [0, 1] and [e.k for e in events if isinstance(e, Step) and e.cell == 0][:3] == [1, 2, 3]
    assert np.abs(pixels(done[0]) - pixels(expected)).max() <= 2
    assert 15 <= zero_gpu.duration(engine.key, [BASE] * 4, True, Keep(), None) <= 120
    monkeypatch.setattr(zero_gpu, "run", None)
    engine.warm_up()  # asks for no device


def test_a_zero_gpu_worker_measures_for_those_that_come_after_it(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is a fork: what it learns is gone with it, unless it says so."""
    here, forks = LocalEngine(engine.model), []

    def fork(key: int, *asked: object) -> Iterator[object]:
        worker = LocalEngine(engine.model)
        worker.loop.measured = here.loop.measured
        forks.append(worker)
        yield from (pickle.loads(pickle.dumps(batch)) for batch in real(worker.key, *asked))

    real = zero_gpu._on_gpu
    monkeypatch.setattr(zero_gpu, "ACTIVE", True)
    monkeypatch.setattr(zero_gpu, "_on_gpu", fork)
    measured: list[tuple] = []
    monkeypatch.setattr(Capacity, "_measure", lambda self, shape: (measured.append(shape), 8)[1])
    assert here.estimate([BASE]) is None
    for _ in range(2):
        here.render(BASE)
    assert len(forks) == 2 and len(measured) == 1
    assert here.estimate([BASE]) > 0
