"""Render what the page opens with: the first grid, and the first view of every lesson's step. Run it again whenever the
shipped weights or a lesson change.

python -m examples.render_first_view
"""

import json
import tempfile
from pathlib import Path

from playground import open_engine
from playground.engine import Done, Engine
from playground.lessons import earlier
from playground.lessons.shelf import shelf
from playground.store import Store, to_png
from playground.ui.shared.shipped import examples, first_view_files


def first_grid(engine: Engine) -> None:
    sweep = examples()[0].sweep
    files = first_view_files(sweep)
    files[0].parent.mkdir(parents=True, exist_ok=True)
    for event in engine.run(sweep.recipes(), previews=False):
        if isinstance(event, Done):
            files[event.cell].write_bytes(to_png(event.result))


def lessons(engine: Engine, folder: Path = earlier.FOLDER) -> None:
    """Those of lessons that are gone are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    measured = {}
    with tempfile.TemporaryDirectory() as cells:
        store = Store(Path(cells))
        for lesson in shelf():
            for i, step in enumerate(lesson.steps):
                if step.run is not None:
                    *_, outcome = step.run.perform(engine, store)
                    measured[earlier.name_of(lesson, i)] = earlier.keep(lesson, i, outcome, folder)
        store.close()
    (folder / earlier.MEASURED).write_text(json.dumps(measured, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    engine = open_engine("pocket")
    engine.warm_up()
    first_grid(engine)
    lessons(engine)
