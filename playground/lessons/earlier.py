"""What each step shows before anybody runs it: pictures that the shipped model drew earlier, and what was measured in
them then. Written by `examples/render_first_view.py`; shown only while lesson and weights are still the same.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from playground.lessons.lesson import SHIPPED, Lesson
from playground.lessons.runs.contract import Outcome, Run
from playground.models import REGISTERED, Facts
from playground.models.folder import fingerprint

FOLDER = Path(__file__).parents[2] / "examples" / "first_view" / "lessons"
MEASURED = "measured.json"
SIDE = 192  # pixels per side at most, which is as large as a frame is on most screens
QUALITY = 70


def name_of(lesson: Lesson, step: int) -> str:
    """ "guidance-1", counted from 1"""
    return f"{lesson.key}-{step + 1}"


def digest(run: Run) -> str:
    """16 digits over everything that a step's run is made of."""
    data = json.dumps([type(run).__name__, asdict(run)], sort_keys=True)
    return hashlib.sha256(data.encode()).hexdigest()[:16]


@lru_cache
def weights() -> str:
    """16 digits over the shipped weights; not `Facts.fingerprint`, which says the precision too, because what is shown
    here serves in any."""
    return fingerprint(REGISTERED[SHIPPED], None)


def keep(lesson: Lesson, step: int, outcome: Outcome, folder: Path = FOLDER) -> dict[str, Any]:
    """Writes a step's pictures side by side into one small file -> what is to be written of it into MEASURED."""
    cells = [picture.convert("RGB") for picture in outcome.pictures]
    side = min(SIDE, max(picture.width for picture in cells))
    strip = Image.new("RGB", (side * len(cells), side))
    for i, picture in enumerate(cells):
        strip.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (i * side, 0))
    strip.save(folder / f"{name_of(lesson, step)}.webp", quality=QUALITY, method=6)
    values = {name: [v if v is None else round(v, 6) for v in vs] for name, vs in outcome.values.items()}
    return {"run": digest(lesson.steps[step].run), "weights": weights(), "values": values}


def shown_earlier(lesson: Lesson, step: int, facts: Facts, folder: Path = FOLDER) -> Outcome | None:
    """None where this model drew nothing earlier, or where lesson or weights have changed since."""
    values = measured_earlier(lesson, step, facts, folder)
    if values is None:
        return None
    with Image.open(folder / f"{name_of(lesson, step)}.webp") as strip:
        strip.load()
    side = strip.height
    cells = [strip.crop((i * side, 0, (i + 1) * side, side)) for i in range(strip.width // side)]
    return Outcome(tuple(cells), values)


def measured_earlier(
    lesson: Lesson, step: int, facts: Facts, folder: Path = FOLDER
) -> dict[str, tuple[float | None, ...]] | None:
    """The numbers of `shown_earlier` by measure, without its pictures."""
    kept = _measured(folder).get(name_of(lesson, step))
    run = lesson.steps[step].run
    if facts.name != SHIPPED or run is None or kept is None:
        return None
    if kept["weights"] != weights() or kept["run"] != digest(run):
        return None
    return {name: tuple(found) for name, found in kept["values"].items()}


@lru_cache
def _measured(folder: Path) -> Mapping[str, Any]:
    path = folder / MEASURED
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
