"""What else may be asked of an engine, and what a run keeps of its calls: fair and batched like everything."""

import numpy as np
import pytest
import torch

from playground.engine import Begin, Decode, Done, LocalEngine, Question, Step
from playground.engine.contract import Keep
from playground.engine.loop import Loop
from playground.engine.request import Request
from playground.refusal import Refusal
from playground.schedule import levels
from tests.engine.support import BASE, counted, pixels, read


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
    assert done.result.evaluations == engine.facts.evaluations(plain)  # what a picture needs, not what was looked at


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
