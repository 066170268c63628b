"""The README's table of families: what the engines of the tests say of themselves, and a ● only for what a test draws.

`python -m tests.models.families.test_readme` prints it.
"""

import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import torch

from playground import open_engine
from playground.engine import LocalEngine
from playground.refusal import Refusal
from playground.samplers import SAMPLERS
from playground.sources.parts import index_of
from playground.sources.single_file import LAYOUTS, PUBLISHED
from playground.ui.compare.form import special
from tests.engine.test_from_a_picture import OF_SD, OF_SDXL
from tests.models import test_control
from tests.models.families import test_late_fields, test_weights
from tests.models.lora.test_kinds_of_files import CASES
from tests.models.sources import test_single_file
from tests.models.test_whole import aura_flow, guided_by_attention
from tests.models.tiny import KINDS as OF_SD_ALONE
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
OTHERS = "any other pipeline"
HEAD = (
    "| model | network | guidance | samplers | LoRA | ControlNet | from a picture | weights | one file | word maps | "
    "fields |",
    "| --- | --- | --- | --- | :-: | :-: | :-: | :-: | :-: | :-: | --- |",
)
# column of marks -> the small models with which a test tries it: by diffusers' pictures, and word maps by their sums
TRIED = {
    "LoRA": {kind for kind, *_ in CASES},
    "ControlNet": set(test_control.CLASSES),
    "from a picture": {*OF_SD, *OF_SDXL},
    "weights": {row for rows in test_weights.KINDS.values() for row in rows},
    "one file": set(test_single_file.KINDS),
    "word maps": {*OF_SD_ALONE, *(kind for kind in FAMILIES if kind.startswith("sdxl"))},
}
LEGEND = f"“All” samplers are {', '.join(SAMPLERS)}."


def row(title: str, engine: LocalEngine, kind: str = "") -> str:
    """What a model says of itself. One that draws whole pictures does it in its own way where models differ. Raises
    AssertionError where it says another thing than the tests try with its small model, `kind`."""
    facts = engine.facts
    marks = (
        hasattr(engine.model, "lora_files"),
        takes_control(engine),
        not facts.no_start,
        facts.reads_weights,
        index_of(Path(facts.folder))["_class_name"] in {index_of(LAYOUTS / key)["_class_name"] for key in PUBLISHED},
        not facts.no_attention,
    )
    for (column, tried), mark in zip(TRIED.items(), marks, strict=True):
        assert not mark or kind in tried, f"No test tries {column} with {kind}."
    samplers = "all" if facts.samplers == tuple(SAMPLERS) else ", ".join(facts.samplers)
    fields = ", ".join(f for f, there in special(facts).items() if there and f != "prompt_weights")
    said = ["its own"] * 3 if facts.whole else [facts.network, facts.guidance, samplers]
    said += ["●" if mark else "–" for mark in marks]
    return f"| {' | '.join([title, *said, 'its own' if facts.whole else fields or '–'])} |"


def takes_control(engine: LocalEngine) -> bool:
    """Given a folder that is none, it says so, or that it takes no ControlNet at all."""
    try:
        engine.model.attach_control(Path("none"))
    except Refusal as refusal:
        return "takes no ControlNet" not in str(refusal)
    raise AssertionError("There is no such folder.")


def opened(folder: Path) -> LocalEngine:
    return open_engine(folder, torch.device("cpu"), torch.float32, "torch")


def test_the_table_is_true(
    engine_of: Callable[[str], LocalEngine],
    engines: dict[str, LocalEngine],
    folders: dict[str, Path],
    tmp_path: Path,
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    made = {kind: engine_of(kind) if kind in FAMILIES else engines[kind] for kind in KINDS}
    found = [row(title, made[kind], kind) for kind, title in KINDS.items()]
    assert {kind for kind in KINDS if not made[kind].facts.no_shift} == set(test_late_fields.WITH_SHIFT)
    assert set(FAMILIES) <= set(KINDS)  # each has its row, and its test against its own pipeline
    others = set()
    for folder in (aura_flow(tmp_path / "aura"), guided_by_attention(folders["sd15-tiny"], tmp_path / "pag")):
        with closing(opened(folder)) as engine:
            others.add(row(OTHERS, engine))
    assert len(others) == 1
    assert "\n".join([*HEAD, *found, *others]) in readme and LEGEND in " ".join(readme.split())


if __name__ == "__main__":
    print(*HEAD, sep="\n")
    with tempfile.TemporaryDirectory() as folder:
        for kind, title in KINDS.items():
            print(row(title, opened((build_family if kind in FAMILIES else build)(kind, Path(folder))), kind))
        print(row(OTHERS, opened(aura_flow(Path(folder) / "aura"))), LEGEND, sep="\n\n")
