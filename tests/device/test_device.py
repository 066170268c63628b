"""Device, precision, threads and batch size are read or measured, not guessed."""

from types import SimpleNamespace

import pytest
import torch

from playground.engine import LocalEngine
from playground.engine.capacity import Capacity
from playground.models.running import device

GB = 2**30
CPU = torch.device("cpu")


def test_precision_on_a_cpu_follows_the_measured_gain() -> None:
    for gain, dtype in ((0.4, torch.float32), (1.1, torch.float32), (2.5, torch.bfloat16)):
        assert device.default_dtype(CPU, lambda gain=gain: gain) is dtype
    assert device.default_dtype(torch.device("cuda"), lambda: pytest.fail("a card is not timed")) is torch.float16


def test_the_gain_is_a_ratio_of_two_measured_times_of_the_whole_network(engine: LocalEngine) -> None:
    calls: list[tuple[int, torch.dtype]] = []
    real = type(engine.model.unet).forward

    def noting(self: torch.nn.Module, sample: torch.Tensor, *others: object, **named: object) -> object:
        calls.append((len(sample), sample.dtype))
        return real(self, sample, *others, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(engine.model.unet), "forward", noting)
        assert 0.01 < device.bf16_gain(engine.model.unet, engine.facts.tokens) < 100
    assert {dtype for rows, dtype in calls if rows == max(rows for rows, _ in calls)} == {torch.float32, torch.bfloat16}
    assert engine.model.unet.dtype is torch.float32  # it was a copy that was timed


@pytest.mark.parametrize(
    ("weights", "largest", "card", "expected"),
    [
        (2 * GB, 1.7 * GB, 24 * GB, None),  # a large card
        (38 << 20, 27 << 20, 2 * GB, None),  # Pocket fits anywhere
        (7 * GB, 4.5 * GB, 8 * GB, None),  # eight gigabytes and more are not small
        (2.5 * GB, 1.7 * GB, 4 * GB, "model"),
        (7 * GB, 5 * GB, 6 * GB, "sequential"),
    ],
)
def test_weights_leave_a_small_card_only_when_they_must(
    weights: float, largest: float, card: int, expected: str | None
) -> None:
    assert device.offload_for(int(weights), int(largest), card) == expected


def test_a_slow_moment_does_not_decide_about_the_batch(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    capacity, calls = Capacity(engine.model), []

    def seconds(shape: tuple[int, ...], rows: int) -> float:
        calls.append(rows)
        slow = 5 if 13 <= len(calls) <= 15 else 1  # as long as three calls of sixteen rows
        return 0.001 * max(1, rows / 16) * slow

    monkeypatch.setattr(capacity, "_seconds", seconds)
    assert capacity((1, 4, 16, 16)) == 16


def test_the_best_batch_is_measured_once_and_kept(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    capacity, calls = Capacity(engine.model), []
    # a machine on which sixteen rows cost as much as one, and more cost in proportion
    monkeypatch.setattr(capacity, "_seconds", lambda shape, rows: (calls.append(rows), 0.001 * max(1, rows / 16))[1])
    assert capacity((1, 4, 16, 16)) == 16
    measured = len(calls)
    assert capacity((1, 4, 16, 16)) == 16 and len(calls) == measured


def test_a_batch_that_runs_out_of_memory_while_measuring_ends_the_search(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    capacity = Capacity(engine.model)

    def limited(shape: tuple, rows: int) -> float:
        if rows > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 0.001

    monkeypatch.setattr(capacity, "_seconds", limited)
    assert capacity((1, 4, 16, 16)) == 4


@pytest.mark.parametrize("fits", [0, 1])
def test_a_size_of_which_two_rows_do_not_fit_on_a_card_is_asked_for_row_by_row(
    monkeypatch: pytest.MonkeyPatch, fits: int
) -> None:
    capacity = Capacity(SimpleNamespace(device=torch.device("cuda")))
    for name in ("reset_peak_memory_stats", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 10**9)

    def limited(shape: tuple, rows: int) -> float:
        if rows > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 0.001

    monkeypatch.setattr(capacity, "_seconds", limited)
    assert capacity((1, 4, 128, 128)) == 1  # whether that one fits is told by the call itself
