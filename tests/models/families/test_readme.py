"""The README's table of families is what the engines of the tests say of themselves.

`python -m tests.models.families.test_readme` prints it.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from playground import open_engine
from playground.engine import LocalEngine
from playground.models import Facts
from tests.models.tiny import build
from tests.models.tiny_families import FAMILIES, build_family

ROOT = Path(__file__).parents[3]
# what a row of the table calls the small models of the tests
KINDS = {
    "sd15-tiny": "Stable Diffusion 1.x, 2.x",
    "turbo-tiny": "Stable Diffusion Turbo",
    "sdxl-tiny": "SDXL",
    "sdxl-turbo-tiny": "SDXL Turbo, Lightning",
    "sd3-tiny": "SD 3, 3.5",
    "sd35-tiny": "the same, dynamic shift",
    "flux-dev-tiny": "Flux.1 dev",
    "flux-schnell-tiny": "Flux.1 schnell",
    "pixart-alpha-tiny": "PixArt-α",
    "pixart-sigma-tiny": "PixArt-Σ",
    "sana-tiny": "Sana",
    "qwen-image-tiny": "Qwen-Image",
    "z-image-tiny": "Z-Image",
    "z-image-turbo-tiny": "Z-Image Turbo",
    "lumina2-tiny": "Lumina Image 2.0",
    "flux2-klein-base-tiny": "Flux.2 klein base",
    "flux2-klein-tiny": "Flux.2 klein",
}
HEAD = (
    "| model | network | guidance | samplers, each the pipeline's own picture | word maps |",
    "| --- | --- | --- | --- | --- |",
)


def row(kind: str, facts: Facts) -> str:
    maps = "no" if facts.no_attention else "yes"
    return f"| {KINDS[kind]} | {facts.network} | {facts.guidance} | {', '.join(facts.samplers)} | {maps} |"


def test_the_table_is_true(engine_of: Callable[[str], LocalEngine], engines: dict[str, LocalEngine]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = [row(kind, (engine_of(kind) if kind in FAMILIES else engines[kind]).facts) for kind in KINDS]
    assert set(FAMILIES) <= set(KINDS)  # each has its row, and its test against its own pipeline
    assert "\n".join([*HEAD, *found]) in readme


if __name__ == "__main__":
    print(*HEAD, sep="\n")
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            made = (build_family if kind in FAMILIES else build)(kind, Path(folder))
            print(row(kind, open_engine(made, torch.device("cpu"), torch.float32).facts))
