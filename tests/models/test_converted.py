"""The network by OpenVINO: torch's answers, kept for the next start, and torch wherever it cannot answer."""

import os
import shutil
import sys
import threading
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file

from playground import Recipe, open_engine
from playground.engine import LocalEngine
from playground.models import Condition, Model, load_model
from playground.models.lora.folder import LoraFiles
from playground.models.lora.rows import Loras
from playground.models.running import conversion, converted, preparation
from playground.models.running.converted import Converted
from playground.models.running.network import Network
from playground.refusal import Refusal
from tests.models.lora.test_kinds_of_files import ATTENTION, trained
from tests.models.tiny_families import sdxl

CPU = torch.device("cpu")
SMALL = "odd-tiny"  # converts in a moment


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for converted networks."""
    monkeypatch.setattr(conversion, "folder", lambda: tmp_path / "networks")
    return tmp_path / "networks"


@pytest.fixture(scope="module")
def converted_once(engines: dict[str, LocalEngine], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "folder", lambda: folder)
        begun(engines)
    return folder


@pytest.fixture
def ready(converted_once: Path, kept: Path) -> Path:
    """The same with the small network in it."""
    return shutil.copytree(converted_once, kept)


def network_of(model: Model) -> Network:
    """A network of its own on the model's weights, without LoRAs."""
    return Network(model.unet, CPU, torch.float32, LoraFiles([], {"unet": model.unet}, StableDiffusionPipeline))


def small(engines: dict[str, LocalEngine]) -> Network:
    return network_of(engines[SMALL].model)


def begun(engines: dict[str, LocalEngine], name: str = "weights") -> Network:
    """The same after its preparation."""
    network = small(engines)
    network.convert(name)
    network.wait_until_converted()
    return network


def inputs(model: Model, rows: int, height: int = 16, width: int = 16) -> tuple:
    latents = torch.randn(rows, model.facts.channels, height, width, generator=torch.Generator().manual_seed(rows))
    return latents, torch.linspace(20, 980, rows), [model.encode("cat")] * rows


def tensors(asked: tuple) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    conditions: list[Condition] = asked[2]
    return asked[0], asked[1], torch.cat([next(iter(c.values())) for c in conditions])


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == preparation.log.name]


@pytest.mark.parametrize("rows", [1, 2, 7, 16, 33])
def test_it_gives_torchs_answers_whatever_the_number_of_rows(
    engine: LocalEngine, by_torch: LocalEngine, rows: int
) -> None:
    asked = inputs(engine.model, rows)
    found, expected = engine.model.predict(*asked), by_torch.model.predict(*asked)
    assert torch.allclose(found, expected, atol=1e-4) and expected.std() > 0.5
    alone = engine.model.predict(*(x[-1:] for x in asked))
    assert torch.equal(found[-1:], alone)  # to the last bit, beside any rows


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 11), (12, 24), (17, 10)])
def test_and_whatever_the_size(engine: LocalEngine, by_torch: LocalEngine, height: int, width: int) -> None:
    """Also where the network cannot halve a side: sides of a picture are multiples of 8, not of 32."""
    asked = inputs(engine.model, 3, height, width)
    assert torch.allclose(engine.model.predict(*asked), by_torch.model.predict(*asked), atol=1e-4)


def test_every_row_has_its_own_loras(engine: LocalEngine, by_torch: LocalEngine) -> None:
    asked = inputs(engine.model, 5)
    rows = [[("pixel_art", 1.0)], [], [("ink_outline", -0.5), ("lcm", 0.7)], [("lcm", 0.0)], [("lcm", 1.3)]]
    found, expected = engine.model.predict(*asked, rows), by_torch.model.predict(*asked, rows)
    assert torch.allclose(found, expected, atol=1e-4)
    plain = engine.model.predict(*asked)
    assert [torch.equal(found[i], plain[i]) for i in range(5)] == [False, True, False, True, False]


def test_looking_inside_is_torchs(engine: LocalEngine, by_torch: LocalEngine) -> None:
    asked = inputs(engine.model, 2)
    (found, looks), (expected, seen) = (one.model.predict_and_look(*asked) for one in (engine, by_torch))
    assert torch.equal(found, expected) and len(looks) == len(seen) == 2


@pytest.mark.parametrize("kind", ["sd15-tiny", "sd21-tiny", "odd-tiny"])  # the others have the U-Nets of these
def test_every_kind_of_stable_diffusion_can_be_converted(
    engines: dict[str, LocalEngine], kept: Path, kind: str
) -> None:
    model = engines[kind].model
    network = network_of(model)
    network.convert("a-name")
    network.wait_until_converted()
    assert network.runtime == "OpenVINO"
    for rows, side in ((1, 8), (3, 9)):
        asked = tensors(inputs(model, rows, side, side))
        assert torch.allclose(network(*asked), network(*asked, plain=True), atol=1e-4)


@pytest.mark.usefixtures("kept")
def test_sdxls_network_is_told_its_sizes_and_the_whole_prompt_besides(tmp_path: Path) -> None:
    """Rows of two prompts, with a LoRA and without, at sides that a level cannot halve."""
    torch.manual_seed(0)
    pipeline = sdxl()
    pipeline.save_pretrained(tmp_path)
    (tmp_path / "loras").mkdir()
    tensors = {f"unet.{key}": value for key, value in trained(pipeline.unet, ATTENTION, 1).items()}
    save_file(tensors, tmp_path / "loras" / "ink.safetensors")
    model, calls = load_model(tmp_path, CPU, torch.float32), []
    loras = [[("ink", 1.0)], [], [("ink", -0.5)], [("ink", 0.0)]]
    for height, width in ((8, 8), (9, 11)):
        latents, t, _ = inputs(model, 4, height, width)
        calls.append((latents, t, [model.encode("cat"), model.encode("red apple")] * 2))
    expected = [(model.predict(*asked, loras), model.predict(*asked)) for asked in calls]
    model.convert()
    model.wait_until_converted()
    assert model.runtime == "OpenVINO"
    for asked, (changed, plain) in zip(calls, expected, strict=True):
        found = model.predict(*asked, loras)
        assert torch.allclose(found, changed, atol=1e-4) and not torch.allclose(found[0], plain[0], atol=1e-2)
        together = model.predict(*asked)
        assert torch.allclose(together, plain, atol=1e-4)
        for row in (1, 3):  # to the last bit, beside any rows
            alone = model.predict(*(given[row : row + 1] for given in asked))
            assert torch.equal(found[row : row + 1], alone) and torch.equal(together[row : row + 1], alone)


def test_the_second_start_converts_nothing(
    engines: dict[str, LocalEngine], ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    real = conversion._converted
    monkeypatch.setattr(conversion, "_converted", lambda *a: (made.append("one"), real(*a))[1])
    assert begun(engines).runtime == "OpenVINO" and made == []
    assert begun(engines, "other weights").runtime == "OpenVINO" and made == ["one"]
    assert len(list(ready.iterdir())) == 2  # nothing half-written stays


def test_two_processes_may_convert_the_same_at_once(
    engines: dict[str, LocalEngine], kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is done while this one converts."""
    real = conversion._converted

    def slower(*asked: object) -> object:
        monkeypatch.setattr(conversion, "_converted", real)
        assert begun(engines).runtime == "OpenVINO"
        return real(*asked)

    monkeypatch.setattr(conversion, "_converted", slower)
    assert begun(engines).runtime == "OpenVINO" and len(list(kept.iterdir())) == 1


def test_only_the_latest_networks_are_kept(
    engines: dict[str, LocalEngine], ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as have room beside the one that is used, which stays where it alone has none."""
    for i in range(3):
        (ready / f"old-{i}").mkdir(parents=True)
        (ready / f"old-{i}" / conversion.FILE).write_bytes(bytes(1000))
        os.utime(ready / f"old-{i}", (i, i))
    begun(engines)
    (newest,) = (place for place in ready.iterdir() if place.name.startswith("weights"))
    own = sum(file.stat().st_size for file in newest.iterdir())
    for room, left in ((own + 2500, {"old-1", "old-2"}), (own + 999, set()), (0, set())):
        monkeypatch.setattr(conversion, "KEPT", room)
        begun(engines)
        assert {place.name for place in ready.iterdir()} == {newest.name, *left}


def test_a_folder_that_cannot_be_written_costs_only_the_next_start(engines: dict[str, LocalEngine], kept: Path) -> None:
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("a file where the folder should be")
    assert begun(engines).runtime == "OpenVINO"


def test_a_broken_file_is_made_anew(ready: Path, engines: dict[str, LocalEngine]) -> None:
    for broken in ("network.xml", "network.bin"):
        (file,) = ready.rglob(broken)
        file.write_text("<net")
        assert begun(engines).runtime == "OpenVINO"
        assert file.stat().st_size > 1000


def test_torch_answers_until_it_is_ready(
    engines: dict[str, LocalEngine], ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go = threading.Event(), threading.Event()
    real = converted.network
    monkeypatch.setattr(converted, "network", lambda *a: (started.set(), go.wait(60), real(*a))[-1])
    network, asked = small(engines), tensors(inputs(engines[SMALL].model, 2))
    network.convert("weights")
    assert started.wait(60) and network.runtime == "PyTorch until OpenVINO is ready"
    assert torch.equal(network(*asked), network(*asked, plain=True))
    go.set()
    network.wait_until_converted()
    assert network.runtime == "OpenVINO"


def test_where_openvino_is_missing_torch_answers_and_one_line_says_so(
    engines: dict[str, LocalEngine], kept: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    network, asked = begun(engines), tensors(inputs(engines[SMALL].model, 2))
    assert network.runtime == "PyTorch" and torch.equal(network(*asked), network(*asked, plain=True))
    (line,) = warnings_of(caplog)
    assert "by torch" in line and "openvino" in line


def test_a_network_that_fails_where_torch_does_not_is_not_asked_again(
    engines: dict[str, LocalEngine], ready: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    network, asked = begun(engines), tensors(inputs(engines[SMALL].model, 2))
    calls: list[int] = []

    def failing(*_: object) -> None:
        calls.append(1)
        raise RuntimeError("Cannot allocate\nmore")

    monkeypatch.setattr(network._converted, "_plain", failing)
    for _ in range(2):
        assert torch.equal(network(*asked), network(*asked, plain=True))
    assert network.runtime == "PyTorch" and len(calls) == len(warnings_of(caplog)) == 1


def test_a_row_that_no_network_takes_ends_nothing_but_itself(engines: dict[str, LocalEngine], ready: Path) -> None:
    network, (latents, t, text) = begun(engines), tensors(inputs(engines[SMALL].model, 2))
    with pytest.raises(RuntimeError):
        network(latents, t, text[..., :-1])
    assert network.runtime == "OpenVINO"


def test_loras_that_would_cost_every_row_too_much_stay_torchs(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converted, "MOST_OF_LORAS", 0.0)
    model = engine.model
    without = Converted(
        model.unet, Loras(model.lora_files, "unet", model.unet, CPU, torch.float32), model.facts.fingerprint
    )
    without.wait()
    asked = tensors(inputs(model, 2))
    assert without(*asked, [[], []]) is not None and without(*asked, [[("lcm", 1.0)], []]) is None


def test_it_uses_torchs_number_of_threads(engine: LocalEngine) -> None:
    compiled = engine.model._unet.network._converted._plain._request.get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == torch.get_num_threads()


def test_runtimes_have_names() -> None:
    with pytest.raises(Refusal, match="runtime must be one of openvino, torch, not 'tensorrt'"):
        open_engine("pocket", runtime="tensorrt")


def test_the_engine_says_what_computes(engine: LocalEngine, by_torch: LocalEngine) -> None:
    assert (engine.runtime, by_torch.runtime) == ("OpenVINO", "PyTorch")
    assert engine.facts.fingerprint == by_torch.facts.fingerprint  # what one has drawn is kept for the other
    assert engine.render(Recipe(num_inference_steps=1)).image.size == (128, 128)
