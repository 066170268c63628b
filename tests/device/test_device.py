"""Device, precision, threads and batch size are read or measured, not guessed."""

from types import SimpleNamespace

import pytest
import torch

from playground.engine.capacity import Capacity
from playground.models.running import device

CPU = torch.device("cpu")


def test_a_cpu_computes_in_fp32_and_a_gpu_in_fp16() -> None:
    """In fp32 a picture on a CPU does not depend on its batch-mates."""
    kinds = {"cpu": torch.float32, "mps": torch.float32, "cuda": torch.float16}
    assert {kind: device.default_dtype(torch.device(kind)) for kind in kinds} == kinds


SHAPE = (1, 4, 16, 16)
ACCELERATOR = SimpleNamespace(device=torch.device("mps"))  # one whose memory is not asked


def test_a_slow_moment_does_not_decide_about_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    capacity, calls = Capacity(ACCELERATOR), []

    def seconds(shape: tuple[int, ...], rows: int) -> float:
        calls.append(rows)
        slow = 5 if 13 <= len(calls) <= 15 else 1  # as long as three calls of sixteen rows
        return 0.001 * max(1, rows / 16) * slow

    monkeypatch.setattr(capacity, "_seconds", seconds)
    assert capacity(SHAPE) == 16


def test_the_best_batch_of_an_accelerator_is_measured_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    capacity, calls = Capacity(ACCELERATOR), []
    # a machine on which sixteen rows cost as much as one, and more cost in proportion
    monkeypatch.setattr(capacity, "_seconds", lambda shape, rows: (calls.append(rows), 0.001 * max(1, rows / 16))[1])
    assert capacity(SHAPE) == 16
    measured = len(calls)
    capacity.note(SHAPE, 16, 5.0)  # its calls return before they are done, so their times say nothing
    assert capacity(SHAPE) == 16 and len(calls) == measured


def test_a_batch_that_runs_out_of_memory_while_measuring_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    capacity = Capacity(ACCELERATOR)

    def limited(shape: tuple, rows: int) -> float:
        if rows > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 0.001

    monkeypatch.setattr(capacity, "_seconds", limited)
    assert capacity(SHAPE) == 4


@pytest.mark.parametrize("fits", [0, 1])
def test_a_size_of_which_two_rows_do_not_fit_on_a_gpu_is_asked_for_row_by_row(
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
