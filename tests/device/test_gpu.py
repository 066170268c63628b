"""The engine and the views on an accelerator, as far as a machine without one can tell: see `tests/device/gpu.py`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from playground import Recipe, open_engine
from playground.engine import Done, Event, Failed, LocalEngine
from playground.engine.contract import Measured
from playground.engine.loop import Loop
from playground.engine.request import Request
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from tests.device.gpu import GPU
from tests.device.works import CAPTION, WORK, same
from tests.models.test_whole import aura_flow

BASE = Recipe(prompt=CAPTION, num_inference_steps=4, seed=3)
GIGABYTE = 2**30


# Apple's refuses the most; a CUDA GPU has ways of its own in the engine: events, memory, precision, small GPUs.
either = pytest.mark.parametrize("gpu", ["cuda", "mps"], indirect=True)
apples = pytest.mark.parametrize("gpu", ["mps"], indirect=True)


class Tick:
    """torch.cuda.Event, as far as the engine uses it; `log` tells what was asked of all of them."""

    log: list[tuple[str, int]] = []
    made = 0

    def __init__(self) -> None:
        self.number = Tick.made
        Tick.made += 1

    def record(self) -> None:
        self.log.append(("record", self.number))

    def synchronize(self) -> None:
        self.log.append(("wait", self.number))


class Generator(torch.Generator):
    """A GPU's own generator draws other numbers than the CPU's; here they are the same, to be compared."""

    def __new__(cls, device: object = "cpu") -> "Generator":
        return super().__new__(cls, "cpu")


@pytest.fixture(scope="module", params=["cuda"])
def gpu(request: pytest.FixtureRequest) -> Iterator[GPU]:
    gpu = GPU(torch.device(request.param, 0))
    properties = SimpleNamespace(total_memory=24 * GIGABYTE)
    with pytest.MonkeyPatch.context() as patch, gpu:
        for name in ("cuda", "mps"):
            patch.setattr(getattr(torch, name), "synchronize", lambda *_: gpu.waits.append("synchronize"))
        patch.setattr(torch.cuda, "get_device_properties", lambda *_: properties)
        patch.setattr(torch.cuda, "Event", Tick)
        patch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: setattr(gpu, "largest", 0))
        patch.setattr(torch.cuda, "max_memory_allocated", lambda: gpu.largest)
        patch.setattr(torch.cuda, "mem_get_info", lambda: (gpu.memory, 24 * GIGABYTE))
        patch.setattr(torch, "Generator", Generator)
        # modules put new parameters in the place of the old ones, as for every tensor of a kind of its own
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        yield gpu
        torch.__future__.set_overwrite_module_params_on_conversion(False)


@pytest.fixture(scope="module")
def there(gpu: GPU) -> LocalEngine:
    """The embedded model on the GPU, in fp32; its runs tick in the caller's thread, the only one that has the GPU."""
    there = open_engine("pocket", torch.device(gpu.device.type), torch.float32)  # without a number, as app.py does
    there.run = lambda cells, unread=None, **how: here(there, cells, **how)  # type: ignore[method-assign]
    there.ask = lambda asks, visitor="": (e for e in here(there, asks) if not refused(e))  # type: ignore[method-assign]
    there.loop.measured = Measured({(1, 4, 16, 16): 16})
    return there


def here(engine: LocalEngine, cells: Sequence[object], **how: object) -> Iterator[Event]:
    """What is asked, ticking in this thread, the only one that has the GPU."""
    for batch in engine.batches_here(cells, **how):
        yield from batch


def refused(event: Event) -> bool:
    if isinstance(event, Failed):
        raise Refusal(event.reason)
    return False


def pictures(events: Iterator[Event]) -> dict[int, np.ndarray]:
    told = list(events)
    assert [e.reason for e in told if isinstance(e, Failed)] == []
    return {e.cell: np.asarray(e.result.image).astype(int) for e in told if isinstance(e, Done)}


def ticks(there: LocalEngine, cells: Sequence[Recipe], previews: bool = False) -> Iterator[None]:
    """One tick after the other, until the cells are finished."""
    loop = Loop(there.model)
    loop.measured = there.loop.measured
    loop.add(Request(cells, previews))
    while loop.busy:
        loop.tick()
        yield


@either
def test_the_stand_in_refuses_what_a_gpu_refuses_and_counts_what_it_waits_for(gpu: GPU) -> None:
    gpu.waits.clear()
    x, host = torch.ones(2, 3, device=gpu.device), torch.ones(2, 3)
    assert x.device == gpu.device and (x + 1).device == gpu.device and (2.0 * x[0] + torch.tensor(1.0)).shape == (3,)
    assert gpu.waits == []
    with pytest.raises(RuntimeError, match="same device"):
        x + host
    with pytest.raises(RuntimeError, match="same device"):
        torch.cat([x, host])
    with pytest.raises(TypeError, match="can't convert"):
        x.numpy()
    assert torch.equal(x.cpu(), host) and host.to(gpu.device).device == gpu.device
    assert (
        bool((x == 1).all())
        and len(x[x > 0]) == 6
        and float(x.sum()) == 6
        and len(torch.tensor([1], device=gpu.device)) == 1
    )
    assert gpu.waits == ["cpu", "to onto the GPU", "__bool__", "__getitem__", "__float__", "tensor onto the GPU"]
    if gpu.device.type == "mps":
        with pytest.raises(TypeError, match="float64"):
            x.double()


@either
def test_the_whole_model_lies_there(there: LocalEngine, gpu: GPU) -> None:
    model = there.model
    for part in (model.pipeline.text_encoder, model.unet, model.vae, model.preview_decoder):
        assert {p.device for p in part.parameters()} == {gpu.device}


@apples
def test_every_sampler_draws_there_what_it_draws_on_the_cpu(engine: LocalEngine, there: LocalEngine) -> None:
    cells = [BASE.replace(sampler=key, guidance_scale=g) for key in SAMPLERS for g in (1.0, 5.0)]
    expected, found = pictures(engine.run(cells)), pictures(here(there, cells))
    assert len(found) == len(cells)
    for cell in expected:
        assert np.abs(found[cell] - expected[cell]).max() <= 1, cells[cell].sampler


@apples
def test_loras_work_there(engine: LocalEngine, there: LocalEngine) -> None:
    cells = [BASE, BASE.replace(loras={"pixel_art": 0.8}), BASE.replace(loras={"pixel_art": 0.5, "ink_outline": 0.5})]
    expected, found = pictures(engine.run(cells)), pictures(here(there, cells))
    assert [int(np.abs(found[i] - expected[i]).max()) <= 1 for i in range(3)] == [True] * 3


@apples
@pytest.mark.parametrize("name", WORK)
def test_the_views_show_there_what_they_show_on_the_cpu(
    by_torch: LocalEngine, there: LocalEngine, x0: torch.Tensor, picture: Image.Image, name: str
) -> None:
    assert same(WORK[name](there, x0, picture), WORK[name](by_torch, x0, picture))


@either
def test_a_tick_waits_for_nothing_but_the_tick_before(there: LocalEngine, gpu: GPU) -> None:
    cells = [
        BASE.replace(num_inference_steps=n, sampler=key)
        for n in (7, 8)
        for key in ("ddim", "dpmpp_2m", "euler", "heun")
    ]
    running = ticks(there, cells)
    next(running)  # starts the cells: their noise is uploaded, their texts are encoded
    waits = []
    for _ in range(5):
        gpu.waits.clear()
        Tick.log.clear()
        next(running)
        waits.append(list(gpu.waits))
    assert waits == [[] if gpu.device.type == "cuda" else ["synchronize"]] * 5


def test_the_host_is_never_more_than_one_tick_ahead(there: LocalEngine, gpu: GPU) -> None:
    running = ticks(there, [BASE.replace(num_inference_steps=6)])
    next(running)
    Tick.log.clear()
    for _ in range(3):
        next(running)
    assert [what for what, _ in Tick.log] == ["record", "wait"] * 3
    assert all(Tick.log[i][1] == Tick.log[i + 1][1] + 1 for i in range(0, 6, 2))


def test_previews_are_timed_when_the_gpu_is_done_with_the_steps(there: LocalEngine, gpu: GPU) -> None:
    real, order = there.model.preview, []

    def noting(latents: torch.Tensor) -> list[Image.Image]:
        order.append(gpu.waits[-1])
        return real(latents)

    there.model.preview = noting  # type: ignore[method-assign]
    try:
        for _ in ticks(there, [BASE], previews=True):
            pass
    finally:
        there.model.preview = real  # type: ignore[method-assign]
    assert order and set(order) == {"synchronize"}


def test_a_cell_too_large_for_the_gpu_fails_with_what_would_fit(there: LocalEngine, gpu: GPU) -> None:
    gpu.memory = 4_000_000  # bytes of a single result; the decoder's largest has 4.7 MB at 192 × 192 pixels
    try:
        events = list(here(there, [BASE.replace(width=256, height=256, num_inference_steps=2), BASE]))
    finally:
        gpu.memory = 2**62
    reasons = [e.reason for e in events if isinstance(e, Failed)]
    assert reasons == ["There is not enough memory for 256 × 256 pixels here; 128 × 128 fits."]
    assert [e.cell for e in events if isinstance(e, Done)] == [1]


@pytest.mark.parametrize(("total", "stay"), [(88, 2), (80, 1)])  # MB; of 76 of weights, and 8 to work with
def test_weights_come_to_a_small_gpu_as_they_are_needed(
    engine: LocalEngine, gpu: GPU, monkeypatch: pytest.MonkeyPatch, total: int, stay: int
) -> None:
    """U-Net and VAE in turn with the text encoder, or one part at a time; `stay` parts are there when nothing is
    called. diffusers' group offloading sets data in place, which the stand-in's tensors cannot."""
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: SimpleNamespace(total_memory=total * 10**6))
    small = open_engine("pocket", torch.device("cuda"), torch.float32)
    small.loop.measured = Measured({(1, 4, 16, 16): 16})
    model, seen = small.model, []

    def noting(latents: torch.Tensor) -> list[Image.Image]:
        seen.append([next(part.parameters()).device for part in parts])
        return preview(latents)

    parts, preview = (model.pipeline.text_encoder, model.unet, model.vae), model.preview
    model.preview = noting  # type: ignore[method-assign]
    cells = [BASE, BASE.replace(num_inference_steps=2, prompt="cat")]  # one is decoded while the other goes on
    expected, found = pictures(engine.run(cells)), pictures(here(small, cells))
    assert [int(np.abs(found[i] - expected[i]).max()) <= 1 for i in range(2)] == [True, True]
    assert seen and all(devices.count(gpu.device) == stay for devices in seen)


@pytest.mark.parametrize(("total", "says"), [(1_800_000, "one part at a time"), (1_450_000, "layers come")])  # bytes
def test_a_pipeline_of_its_own_comes_to_a_small_gpu(
    gpu: GPU, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, total: int, says: str
) -> None:
    folder = aura_flow(tmp_path / "aura-tiny")
    plain = open_engine(folder, torch.device("cpu"), torch.float32)
    recipe = plain.facts.usual.replace(prompt="red apple", num_inference_steps=2, width=64, height=64)
    expected = np.asarray(plain.render(recipe).image).astype(int)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: SimpleNamespace(total_memory=total))
    small = open_engine(folder, torch.device("cuda"), torch.float32)
    assert small.facts.memory.startswith(says)
    for _ in range(2):  # whose end moves all of it back
        assert np.array_equal(pictures(here(small, [recipe]))[0], expected)
        assert next(small.model._pipeline.transformer.parameters()).device.type != "cuda"


def test_in_half_precision_the_pictures_stay(engine: LocalEngine, gpu: GPU) -> None:
    """The precision that CUDA gets by default, by the CPU's arithmetic."""
    half = open_engine("pocket", torch.device("cuda"))
    assert half.model.dtype is torch.float16 and half.facts.precision == "fp16"
    half.loop.measured = Measured({(1, 4, 16, 16): 16})
    cells = [BASE.replace(sampler=key) for key in ("dpmpp_2m", "euler_a")]
    expected, found = pictures(engine.run(cells)), pictures(here(half, cells))
    assert all(np.abs(found[cell] - expected[cell]).mean() <= 1 for cell in expected) and len(found) == 2
