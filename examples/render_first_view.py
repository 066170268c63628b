"""Render the grid that the page opens with. Run it again whenever the shipped weights change.

python -m examples.render_first_view
"""

from playground import open_engine
from playground.engine import Done
from playground.store import to_png
from playground.ui.shared.shipped import examples, first_view_files

if __name__ == "__main__":
    sweep = examples()[0].sweep
    files = first_view_files(sweep)
    files[0].parent.mkdir(parents=True, exist_ok=True)
    engine = open_engine("pocket")
    engine.warm_up()
    for event in engine.run(sweep.recipes(), previews=False):
        if isinstance(event, Done):
            files[event.cell].write_bytes(to_png(event.result))
