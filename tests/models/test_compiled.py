"""The compiled network: the plain one's answers, and never a compilation while a visitor waits."""

import shutil
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from playground import Recipe, Sweep, open_engine
from playground.engine import Done, LocalEngine
from playground.models import Condition, Model
from playground.models.running import compiled
from playground.models.running.compiled import Compiled, filled_up
from playground.refusal import Refusal

CPU = torch.device("cpu")
BASE = Recipe(prompt="red apple, blue background", num_inference_steps=4, seed=5)


class Counting:
    """A torch.compile backend that runs the traced graph as it is: real guards, no compiler needed on the machine."""

    def __init__(self) -> None:
        self.graphs = self.calls = 0

    def __call__(self, graph: torch.fx.GraphModule, _: list) -> Callable:
        self.graphs += 1

        def run(*inputs: torch.Tensor) -> tuple:
            self.calls += 1
            return graph(*inputs)

        return run


@pytest.fixture(autouse=True)
def forgotten(request: pytest.FixtureRequest) -> None:
    """Each small network begins with nothing compiled: torch keeps a limited number of graphs for all of them."""
    if "prepared" not in request.fixturenames:
        torch.compiler.reset()


@pytest.fixture(scope="module")
def backend() -> Counting:
    return Counting()


@pytest.fixture(scope="module")
def prepared(backend: Counting) -> Iterator[LocalEngine]:
    """The embedded model, compiled for 2 to 15 rows; the other batches' graph would take as long again to trace."""
    torch.compiler.reset()
    engine = open_engine("pocket", CPU, torch.float32, "torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "ANY_ROWS", (8,))
        engine.model.compile(backend)
    yield engine
    torch.compiler.reset()


def inputs(model: Model, rows: int, side: int = 16) -> tuple[torch.Tensor, torch.Tensor, list[Condition]]:
    latents = torch.randn(rows, 4, side, side, generator=torch.Generator().manual_seed(rows))
    return latents, torch.linspace(20, 980, rows), [model.encode("cat")] * rows


def small_unet() -> UNet2DConditionModel:
    """One level with one of the same residual blocks, so that compiling it takes seconds."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8,),
        norm_num_groups=4,
        layers_per_block=0,  # on the way down; on the way up it is one more
        cross_attention_dim=12,
        down_block_types=("DownBlock2D",),
        mid_block_type=None,
        up_block_types=("UpBlock2D",),
    )
    return unet.to(memory_format=torch.channels_last).eval()


def small_inputs(rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    latents, text = (torch.randn(rows, *shape, generator=generator) for shape in ((4, 8, 8), (6, 12)))
    return latents, torch.linspace(20, 980, rows), text


def calls_of(backend: Counting, work: Callable[[], object]) -> int:
    """Calls of compiled graphs meanwhile; fails where something was compiled for it."""
    graphs, calls = backend.graphs, backend.calls
    work()
    assert backend.graphs == graphs
    return backend.calls - calls


@torch.inference_mode()
def test_a_cpus_two_graphs_serve_every_batch_up_to_63_rows() -> None:
    backend, unet = Counting(), small_unet()
    network = Compiled(unet, CPU, backend)
    network.prepare(*small_inputs(1))
    assert backend.graphs <= 2
    for rows in (2, 15, 16, 17, 63):
        asked = small_inputs(rows)
        assert calls_of(backend, lambda asked=asked: network(*asked)) == 1
        assert torch.allclose(network(*asked), unet(*asked).sample, atol=1e-4)


@torch.inference_mode()
def test_a_cards_graphs_have_fixed_sizes_and_smaller_batches_are_filled_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card's way of batching, here on the CPU: which sizes are compiled does not depend on where they run."""
    monkeypatch.setattr(compiled, "FIXED_ROWS", (1, 2, 4, 8))  # fewer, because each takes seconds to trace
    backend, unet = Counting(), small_unet()
    network = Compiled(unet, torch.device("cuda"), backend)
    network.prepare(*small_inputs(1))
    assert backend.graphs == 4
    for rows in (1, 3, 5, 8):
        asked = small_inputs(rows)
        assert calls_of(backend, lambda asked=asked: network(*asked)) == 1
        assert torch.allclose(network(*asked), unet(*asked).sample, atol=1e-4)
    assert calls_of(backend, lambda: network(*small_inputs(9))) == 0


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler here")
@torch.inference_mode()
def test_the_real_compiler_gives_the_plain_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "ANY_ROWS", (8,))  # one graph is enough to see, and each takes its time
    unet = small_unet()
    network = Compiled(unet, CPU)
    network.prepare(*small_inputs(1))
    assert torch.allclose(network(*small_inputs(5)), unet(*small_inputs(5)).sample, atol=1e-4)


@pytest.mark.parametrize("rows", [2, 3, 7, 15])
def test_any_number_of_rows_is_served_by_a_graph_and_equals_the_plain_network(
    engine: LocalEngine, prepared: LocalEngine, backend: Counting, rows: int
) -> None:
    asked = inputs(engine.model, rows)
    found: list[torch.Tensor] = []
    assert calls_of(backend, lambda: found.append(prepared.model.predict(*asked))) == 1
    assert torch.allclose(found[0], engine.model.predict(*asked), atol=1e-4)


@pytest.mark.parametrize(("rows", "side"), [(1, 16), (16, 16), (4, 8), (3, 24)])
def test_what_was_not_prepared_runs_plain_at_once(
    engine: LocalEngine, prepared: LocalEngine, backend: Counting, rows: int, side: int
) -> None:
    asked = inputs(engine.model, rows, side)
    found: list[torch.Tensor] = []
    assert calls_of(backend, lambda: found.append(prepared.model.predict(*asked))) == 0
    assert torch.allclose(found[0], engine.model.predict(*asked), atol=1e-4)


def test_a_grid_is_drawn_by_it_and_is_the_same_grid(
    engine: LocalEngine, prepared: LocalEngine, backend: Counting
) -> None:
    cells = Sweep(BASE, {"guidance_scale": [1, 4], "sampler": ["dpmpp_2m", "euler_a"]}).recipes()

    def pictures(of: LocalEngine) -> list[np.ndarray]:
        done = {event.cell: event.result.image for event in of.run(cells) if isinstance(event, Done)}
        return [np.asarray(done[i], dtype=int) for i in range(len(cells))]

    drawn: list[np.ndarray] = []
    prepared.warm_up()
    assert calls_of(backend, lambda: drawn.extend(pictures(prepared))) >= BASE.num_inference_steps
    for one, other in zip(drawn, pictures(engine), strict=True):
        assert np.abs(one - other).max() <= 2


def test_rows_with_loras_are_the_plain_networks(
    by_torch: LocalEngine, prepared: LocalEngine, backend: Counting
) -> None:
    asked, loras = inputs(by_torch.model, 3), [[("pixel_art", 1.0)], [], [("lcm", 0.5)]]
    found: list[torch.Tensor] = []
    assert calls_of(backend, lambda: found.append(prepared.model.predict(*asked, loras))) == 0
    assert torch.equal(found[0], by_torch.model.predict(*asked, loras))
    zero = [[("pixel_art", 0.0)]] * 3
    assert calls_of(backend, lambda: prepared.model.predict(*asked, zero)) == 1


def test_attention_is_seen_in_it_and_afterwards_it_is_compiled_as_before(
    engine: LocalEngine, prepared: LocalEngine, backend: Counting
) -> None:
    asked = inputs(engine.model, 2)

    def look() -> None:
        output, looks = prepared.model.predict_and_look(*asked)
        assert len(looks) == 2 and all(look.maps for look in looks)
        assert torch.allclose(output, engine.model.predict(*asked), atol=1e-4)

    assert calls_of(backend, look) == 0
    assert calls_of(backend, lambda: prepared.model.predict(*asked)) == 1


@pytest.mark.parametrize(("rows", "expected"), [(1, 1), (2, 2), (3, 4), (9, 16), (16, 16)])
def test_batches_for_a_card_are_filled_up_to_a_power_of_two(rows: int, expected: int) -> None:
    x = torch.arange(rows, dtype=torch.float32)[:, None]
    filled = filled_up(x)
    assert len(filled) == expected and torch.equal(filled[:rows], x) and bool((filled[rows:] == x[-1]).all())


def test_it_says_why_it_cannot_be_compiled(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refusal, match="not for MPS"):
        Compiled(engine.model.unet, torch.device("mps"))
    monkeypatch.setattr(compiled.shutil, "which", lambda _: None)
    with pytest.raises(Refusal, match="C\\+\\+ compiler"):
        engine.model.compile()
