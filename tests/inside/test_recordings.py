"""One scrubber for the whole grid: the frames are the run's own, thinned evenly, and the curve measures them."""

import numpy as np
import pytest
import torch

from playground import Recipe
from playground.engine import Kept, LocalEngine, Step
from playground.engine.trajectory import Trajectory, advance_together
from playground.inside.recordings import MOST_FRAMES, Recording, Recordings, apart, kept_calls
from playground.inside.strips import strips

BASE = Recipe(prompt="red apple, blue background", num_inference_steps=5, seed=4)


def recorded(engine: LocalEngine, *recipes: Recipe) -> list[Recording]:
    recordings = Recordings(engine)
    for _ in recordings.record(recipes):
        pass
    return [recordings.get(recipe) for recipe in recipes]


@pytest.mark.parametrize("of", [1, 2, 39, 40, 41, 99, 1000])
def test_long_runs_keep_evenly_spread_calls_and_always_the_last(of: int) -> None:
    calls = kept_calls(of)
    assert len(calls) == min(of, MOST_FRAMES) and calls[-1] == of and calls[0] >= 1
    gaps = np.diff(calls)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_frames_are_what_the_network_saw_and_the_x0_that_followed(engine: LocalEngine) -> None:
    recording = recorded(engine, BASE, BASE.replace(sampler="euler", seed=1))[1]
    model, own = engine.model, Trajectory(BASE.replace(sampler="euler", seed=1), engine.model)
    for i in range(own.of):
        assert recording.timesteps[i] == pytest.approx(float(own.timestep))
        seen = own.model_input()
        t = own.timestep.to(torch.float32).expand(1)
        advance_together([own], [[model.predict(seen, t, [model.condition(text)]) for text in own.texts()]])
        assert torch.allclose(recording.seen[i].float(), seen[0], atol=5e-3)
        assert torch.allclose(recording.x0[i].float(), own.x0[0], atol=3e-2)  # fp16, and batch-mates' rounding
    assert recording.calls == [1, 2, 3, 4, 5]


def test_a_recording_in_memory_is_not_run_again(engine: LocalEngine) -> None:
    recordings = Recordings(engine)
    assert list(recordings.record([BASE]))[-1] == (5, 5)
    assert list(recordings.record([BASE])) == []


def test_memory_is_bounded_and_the_least_recently_seen_goes_first(engine: LocalEngine) -> None:
    recordings = Recordings(engine, most_bytes=3 * recorded(engine, BASE)[0].bytes)
    recipes = [BASE.replace(seed=s) for s in range(4)]
    for recipe in recipes[:3]:
        list(recordings.record([recipe]))
    recordings.get(recipes[0])
    list(recordings.record(recipes[3:]))
    assert [recordings.get(r) is not None for r in recipes] == [True, False, True, True]


def test_joining_half_way_keeps_no_recording_with_a_missing_beginning(engine: LocalEngine) -> None:
    recordings = Recordings(engine)
    recorder = recordings.recorder([BASE])
    for k in (3, 4, 5):
        recorder.take(Step(0, k, 5, None, kept=Kept(torch.zeros(1, 4, 16, 16), torch.zeros(1, 4, 16, 16))))
    assert recordings.get(BASE) is None


def test_the_strip_is_the_quick_decoders_pictures_in_order(engine: LocalEngine) -> None:
    recording = recorded(engine, BASE)[0]
    ((place, whole),) = strips(engine, [recording.x0])
    assert place == 0
    assert whole.width == 5 * whole.height
    single = engine.model.preview(recording.x0[3:4].float())[0]
    cut = whole.crop((3 * whole.height, 0, 4 * whole.height, whole.height))
    assert np.abs(np.asarray(cut, int) - np.asarray(single, int)).max() <= 1


def test_the_curve_is_the_mean_over_pairs() -> None:
    rng = torch.Generator().manual_seed(0)
    recordings = [
        Recording([1, 2], 2, [9.0, 1.0], torch.zeros(2, 4, 2, 2), torch.randn(2, 4, 2, 2, generator=rng))
        for _ in range(3)
    ]
    assert list(apart(recordings)["share"]) == [50, 100]  # one point for each step
    last = apart(recordings).iloc[-1]
    pairs = [(recordings[a].x0[1] - recordings[b].x0[1]).square().mean() for a, b in ((0, 1), (0, 2), (1, 2))]
    assert last["share"] == pytest.approx(100) and last["distance"] == pytest.approx(float(sum(pairs) / 3) ** 0.5)


def test_the_same_seed_begins_close_and_parts(engine: LocalEngine) -> None:
    """What the curve is for: one noise, several guidance scales."""
    recordings = recorded(engine, *[BASE.replace(guidance_scale=g, num_inference_steps=12) for g in (2, 5, 9)])
    assert all(torch.equal(recording.seen[0], recordings[0].seen[0]) for recording in recordings)
    assert apart(recordings)["distance"].iloc[-1] > 0.05
