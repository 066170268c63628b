"""What the process holds after each of ten switches between two models by OpenVINO: it must not grow with every switch.

python -m tests.benchmarks.switching [--repeats 3]     # one run, whatever --repeats says

Both are converted in this process, because nothing kept from earlier is found; then each switch reads what was kept.
"""

import json
import tempfile
from pathlib import Path
from shutil import copytree

import torch

from playground import open_engine
from playground.engine import Guest, House
from playground.models import REGISTERED
from playground.sources.given import source
from playground.sources.parts import INDEX
from tests.benchmarks.measure import main
from tests.benchmarks.memory import held

SWITCHES = 10
TOLD = (1, SWITCHES // 2, SWITCHES)  # after so many
STEPS = 4


def another(folder: Path) -> Path:
    """A copy that is another model to whatever keeps conversions: they go by a model's files."""
    copytree(REGISTERED["pocket"], folder)
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps(index))  # in other spaces
    return folder


def rows(repeats: int) -> list[tuple[str, str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        torch.hub.set_dir(str(Path(folder) / "torch" / "hub"))  # beside which conversions are kept
        house = House(open_engine)
        guests = [Guest(house, source(given)) for given in ("pocket", another(Path(folder) / "other"))]
        held_after, runtimes = [], set()
        for i in range(SWITCHES):
            guest = guests[i % 2]
            guest.render(guest.facts.usual.replace(num_inference_steps=STEPS, seed=i))
            held_after.append(held())
            runtimes.add(guest.runtime)
        house.close()
    parameters = guests[0].facts.parameters / 1e6
    told = ", ".join(f"{held_after[n - 1]:.0f} MB after {n}" for n in TOLD)
    by = " and ".join(sorted(runtimes))
    return [(f"memory over {SWITCHES} switches between two models of {parameters:.0f} M parameters, {by}", "–", told)]


if __name__ == "__main__":
    main(__doc__, rows)
