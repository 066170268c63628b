"""The views on ZeroGPU: the same results as elsewhere, with the model touched inside the worker only."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from gradio_client import Client, handle_file

from playground.engine import Decode, Keep, LocalEngine, Question, zero_gpu
from playground.engine.contract import NOTHING
from playground.inside import film, prediction, walk
from playground.refusal import Refusal
from tests.device.works import APPLE, CAPTION, LOANS, RECIPE, WORK, same
from tests.engine.support import before_each_call


class Platform:
    """ZeroGPU's stand-in: all that goes in or comes out is pickled, and calls of the model elsewhere are noted."""

    def __init__(self, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[list[str]] = []  # of the worker: the kinds of what was asked in each
        self.outside: list[str] = []  # modules that ran where there is no device
        self._inside = False
        real = zero_gpu._on_gpu

        def on_gpu(*asked: object) -> Iterator[object]:
            key, cells, *rest = pickle.loads(pickle.dumps(asked))
            self.calls.append([type(cell).__name__ for cell in cells])
            results = real(key, cells, *rest)
            while True:
                self._inside = True
                try:
                    found = next(results, self)
                finally:
                    self._inside = False
                if found is self:
                    return
                yield pickle.loads(pickle.dumps(found))

        monkeypatch.setattr(zero_gpu, "ACTIVE", True)
        monkeypatch.setattr(zero_gpu, "_on_gpu", on_gpu)
        model = engine.model
        parts = {"text_encoder": model.pipeline.text_encoder, "unet": model.unet, "preview": model.preview_decoder}
        parts |= {"encoder": model.vae.encoder, "decoder": model.vae.decoder}
        for name in ("predict", "predict_and_look"):  # the network itself is none of torch's modules with OpenVINO
            monkeypatch.setattr(model, name, self._noted(getattr(model, name)))
        self.hooks = [part.register_forward_pre_hook(self._note(name)) for name, part in parts.items()]

    def _noted(self, real: Callable) -> Callable:
        def call(*asked: object) -> object:
            if not self._inside:
                self.outside.append("network")
            return real(*asked)

        return call

    def _note(self, name: str):  # noqa: ANN202
        return lambda *_: None if self._inside else self.outside.append(name)


@pytest.fixture
def platform(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    engine.model.encode.cache_clear()  # so that every text is encoded where it is asked about
    platform = Platform(engine, monkeypatch)
    yield platform
    for hook in platform.hooks:
        hook.remove()
    engine.model.encode.cache_clear()


@pytest.mark.parametrize("name", WORK)
def test_work_in_a_worker_gives_what_it_gives_elsewhere(
    engine: LocalEngine,
    x0: torch.Tensor,
    picture,
    monkeypatch: pytest.MonkeyPatch,
    name: str,  # noqa: ANN001
) -> None:
    expected = WORK[name](engine, x0, picture)
    platform = Platform(engine, monkeypatch)
    try:
        found = WORK[name](engine, x0, picture)
    finally:
        for hook in platform.hooks:
            hook.remove()
    assert len(platform.calls) == LOANS[name] and platform.outside == []  # few loans, however much it asks
    assert same(found, expected)


def test_what_a_worker_refuses_is_said_in_the_same_words(
    engine: LocalEngine, x0: torch.Tensor, platform: Platform
) -> None:
    with pytest.raises(Refusal, match=r"^t must be a whole number from 0 to 999\.$"):
        list(engine.ask([Question(x0, 1000, ("",))]))
    with pytest.raises(Refusal, match=r"^t must be a whole number from 0 to 999\.$"):
        prediction.predict(engine, x0, [""], 1000, 0)
    with pytest.raises(Refusal, match=r"^model must be pocket"):
        next(walk.walk(engine, RECIPE.replace(model="elsewhere")))
    (failed,) = [e for e in engine.run([RECIPE.replace(loras={"nope": 1})])]
    assert failed.reason.startswith("There is no LoRA named 'nope'")


def test_stopping_a_view_stops_the_worker(
    engine: LocalEngine, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = film.film(engine, RECIPE.replace(num_inference_steps=500))
    next(running)
    rows: list[torch.Tensor] = []
    before_each_call(engine, monkeypatch, rows.append)
    running.close()
    assert rows == []


def test_a_loan_lasts_as_long_as_the_work_needs_within_what_is_granted(
    engine: LocalEngine, x0: torch.Tensor, platform: Platform
) -> None:
    def asked_for(cell: object, keep: Keep = NOTHING) -> int:
        return zero_gpu.duration(engine.key, [cell], {"keep": keep})

    each = engine.loop.seconds_per_evaluation
    assert asked_for(RECIPE) == asked_for(Decode(x0)) == 15  # the least
    long = RECIPE.replace(num_inference_steps=1000)
    expected = round(min(120, max(15, 5 + 1.5 * 2000 * each)))
    assert asked_for(long) == expected
    assert asked_for(long.replace(guidance_scale=1.0), Keep(predictions=True)) == expected  # filmed with both passes


def test_no_page_asks_the_model_outside_a_worker(
    address: str, engine: LocalEngine, platform: Platform, tmp_path: Path
) -> None:
    """The endpoints of the views, called on the real page."""
    client = Client(address, verbose=False, download_files=str(tmp_path))
    small = RECIPE.replace(num_inference_steps=2).to_dict()
    client.predict(small, api_name="/denoise")
    client.predict(small, api_name="/inspect_prompt")
    client.predict(handle_file(str(APPLE)), CAPTION, 640, 4, 3, "euler", api_name="/predict_noise")
    with pytest.raises(Exception, match="t must be a whole number"):
        client.predict(handle_file(str(APPLE)), CAPTION, 1000, 4, None, "ddim", api_name="/predict_noise")
    assert platform.outside == []
    kinds = [kind for call in platform.calls for kind in call]
    assert kinds[:5] == ["Recipe", "Begin", "Recipe", "Encode", "Question"] and "Decode" in kinds
