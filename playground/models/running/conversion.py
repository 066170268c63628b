"""Networks as files of OpenVINO's: traced once, kept on disk for the next start.

It lies beside torch's own caches, named after the weights' fingerprint and the version of OpenVINO. Two processes may
convert the same network at once: whoever is later finds the other's.
"""

import logging
import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from playground.models.running.traceable import Traceable, TraceableDecoder

FORM = 1  # of what is traced: another number whenever the graph's inputs or their meaning change
KEPT = 24 * 10**9  # bytes on disk, two SDXLs or hundreds of Pockets; the least recently used networks go first
FILE = "network.xml"
_tracing = threading.Lock()  # torch's tracer is for one thread at a time: of two, one would fail
log = logging.getLogger(__name__)


def openvino() -> Any:
    """The library, imported when it is first needed. Raises ImportError where it is missing.

    It would tell its makers of every import and conversion, and this playground contacts no other host: without the
    package that does so it is silent.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def network(name: str, traceable: Traceable, loras: int = 0) -> Any:
    """-> openvino.Model of fp32, with any number of rows and tokens and of any size; converted now if it is not kept.

    `name` is all that its numbers depend on: the fingerprint of the weights, and of the LoRAs in it.
    """
    return _kept(name, lambda ov: _converted(ov, traceable, loras))


def decoder(name: str, traceable: TraceableDecoder) -> Any:
    """-> openvino.Model of fp32 for latents of any number and size; `name` as for `network`."""

    def made(ov: Any) -> Any:
        example = torch.rand((2, traceable.channels, 17, 19), generator=torch.Generator().manual_seed(0))
        shape = ov.PartialShape([-1, traceable.channels, -1, -1])
        return _quietly(ov, traceable, example_input=(example,), input=[("latents", shape)])

    return _kept(name, made)


def _kept(name: str, convert: Callable[[Any], Any]) -> Any:
    """What is kept under this name, or made now and kept."""
    ov = openvino()
    place = folder() / f"{name}-{ov.__version__.split('-')[0]}-{FORM}"
    if (place / FILE).is_file():
        try:
            return _read(ov, place)
        except RuntimeError:  # a broken file
            shutil.rmtree(place, ignore_errors=True)
    made = convert(ov)
    try:
        _keep(ov, made, place)
    except OSError as error:
        log.warning("The converted network cannot be kept for the next start: %s", error)
        return made
    return _read(ov, place)  # its weights are read from there when they are needed, and not held twice


def _read(ov: Any, place: Path) -> Any:
    os.utime(place)
    with suppress(OSError):  # another process may be doing the same
        _drop_the_oldest(place)
    return ov.Core().read_model(place / FILE)


def folder() -> Path:
    return Path(torch.hub.get_dir()).parent / "diffusion-playground"


def _converted(ov: Any, traceable: Traceable, loras: int) -> Any:
    example = traceable.example(loras)
    latents, _, text, *others = example
    shapes = [(-1, latents.shape[1], -1, -1), (-1,), (-1, -1, text.shape[2]), *((-1, x.shape[1]) for x in others)]
    names = traceable.inputs[: len(example)]
    given = [(name, ov.PartialShape(list(shape))) for name, shape in zip(names, shapes, strict=True)]
    return _quietly(ov, traceable, example_input=example, input=given)


def _quietly(ov: Any, traceable: nn.Module, **how: Any) -> Any:
    with _tracing, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the tracer cannot follow is the same for all sizes that are traced so
        return ov.convert_model(traceable, **how)


def _keep(ov: Any, made: Any, place: Path) -> None:
    """All of it or nothing."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as fresh:
        inside = Path(fresh) / "network"
        inside.mkdir()
        ov.save_model(made, inside / FILE, compress_to_fp16=False)
        try:
            inside.rename(place)
        except OSError:
            if not (place / FILE).is_file():  # else another process was first
                raise


def _drop_the_oldest(newest: Path) -> None:
    """Until the rest has room; the newest, which is about to be used, stays whatever its size."""
    others = (place for place in folder().iterdir() if place != newest and (place / FILE).is_file())
    left = KEPT - _bytes(newest)
    for place in sorted(others, key=lambda place: place.stat().st_mtime, reverse=True):
        left -= _bytes(place)
        if left < 0:
            shutil.rmtree(place, ignore_errors=True)


def _bytes(place: Path) -> int:
    return sum(file.stat().st_size for file in place.iterdir())
