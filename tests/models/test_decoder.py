"""The VAE's decoder by OpenVINO: torch's pixels, the same beside any others, and torch wherever it cannot answer."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from playground.engine import LocalEngine
from playground.models.running import conversion, preparation
from playground.models.running.decoder import Decoder

CPU = torch.device("cpu")
SMALL = "odd-tiny"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for converted networks."""
    monkeypatch.setattr(conversion, "folder", lambda: tmp_path / "networks")
    return tmp_path / "networks"


def latents(engine: LocalEngine, n: int, rows: int = 16, columns: int = 16) -> torch.Tensor:
    return torch.randn(n, engine.facts.channels, rows, columns, generator=torch.Generator().manual_seed(n))


def begun(engine: LocalEngine) -> Decoder:
    found = Decoder(engine.model.vae, CPU)
    found.convert("weights")
    found.wait_until_converted()
    return found


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == preparation.log.name]


@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (9, 20), (32, 24)])
def test_it_gives_torchs_pixels_whatever_the_size(
    engine: LocalEngine, by_torch: LocalEngine, rows: int, columns: int
) -> None:
    x = latents(engine, 2, rows, columns)
    with torch.inference_mode():
        found, expected = engine.model._decoder(x), by_torch.model._decoder(x)
    assert engine.model._decoder._inference is not None and by_torch.model._decoder._inference is None
    assert torch.allclose(found, expected, atol=1e-4) and expected.std() > 0.1
    assert found.shape == (2, 3, 8 * rows, 8 * columns)


def test_a_picture_is_the_same_beside_any_others(engine: LocalEngine) -> None:
    x = latents(engine, 5)
    together, alone = engine.model.decode(x), [engine.model.decode(one)[0] for one in x.split(1)]
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(together, alone, strict=True))


@torch.inference_mode()
def test_another_kind_of_vae_is_converted_once_and_kept(
    engines: dict[str, LocalEngine], kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engines[SMALL]
    x = latents(engine, 2, 7, 10)
    first = begun(engine)
    monkeypatch.setattr(conversion, "_quietly", lambda *_, **__: pytest.fail("it was converted again"))
    second = begun(engine)
    assert torch.equal(first(x), second(x)) and second._inference is not None
    assert torch.allclose(first(x), Decoder(engine.model.vae, CPU)(x), atol=1e-4)
    assert len(list(kept.iterdir())) == 1


@torch.inference_mode()
def test_where_openvino_is_missing_torch_decodes_and_one_line_says_so(
    engines: dict[str, LocalEngine], kept: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    engine = engines[SMALL]
    x = latents(engine, 1)
    assert torch.equal(begun(engine)(x), Decoder(engine.model.vae, CPU)(x))
    (line,) = warnings_of(caplog)
    assert "by torch" in line and "openvino" in line


@torch.inference_mode()
def test_one_that_fails_where_torch_does_not_is_not_asked_again(
    engines: dict[str, LocalEngine], kept: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = engines[SMALL]
    found, x, calls = begun(engine), latents(engine, 1), []

    def failing(*_: object) -> None:
        calls.append(1)
        raise RuntimeError("Cannot allocate\nmore")

    monkeypatch.setattr(found, "_inference", failing)
    for _ in range(2):
        assert torch.equal(found(x), Decoder(engine.model.vae, CPU)(x))
    assert len(calls) == len(warnings_of(caplog)) == 1


@torch.inference_mode()
def test_latents_that_no_decoder_takes_end_nothing_but_themselves(engines: dict[str, LocalEngine], kept: Path) -> None:
    found = begun(engines[SMALL])
    with pytest.raises(RuntimeError):
        found(torch.zeros(1, 3, 8, 8))
    assert found._inference is not None
