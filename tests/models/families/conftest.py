"""Each family's small model, its engine and its own pipeline, built once."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from transformers import CLIPTextModel

from playground import open_engine
from playground.engine import LocalEngine
from tests.models.tiny_families import build_family

SD = "sd15-tiny"
Engines = Callable[[str], LocalEngine]
Pipelines = Callable[[str], DiffusionPipeline]


@pytest.fixture(scope="package")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("families")
    return cache(lambda kind: build_family(kind, folder))


@pytest.fixture(scope="package")
def engine_of(folder_of: Callable[[str], Path]) -> Iterator[Callable[[str], LocalEngine]]:
    opened: dict[str, LocalEngine] = {}

    def engine(kind: str) -> LocalEngine:
        if kind not in opened:
            runtime = "openvino" if kind == "sdxl-tiny" else "torch"  # one conversion is enough of U-Nets
            opened[kind] = open_engine(folder_of(kind), torch.device("cpu"), torch.float32, runtime)
        return opened[kind]

    yield engine
    for each in opened.values():
        each.close()


@pytest.fixture(scope="package")
def pipeline_of(folder_of: Callable[[str], Path]) -> Callable[[str], DiffusionPipeline]:
    @cache
    def pipeline(kind: str) -> DiffusionPipeline:
        found = DiffusionPipeline.from_pretrained(folder_of(kind))
        found.set_progress_bar_config(disable=True)
        return found

    return pipeline


@pytest.fixture
def either(engine_of: Engines, engines: dict[str, LocalEngine]) -> Engines:
    return lambda kind: engines[kind] if kind == SD else engine_of(kind)


@pytest.fixture
def own(pipeline_of: Pipelines, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Pipelines:
    """Each family's own pipeline. Where transformers' CLIP has no inner text_model any more, it is its own, because
    StableDiffusionPipeline still looks there for the last layer's norm."""
    monkeypatch.setattr(CLIPTextModel, "text_model", property(lambda self: self), raising=False)
    return lambda kind: StableDiffusionPipeline.from_pretrained(folders[kind]) if kind == SD else pipeline_of(kind)
