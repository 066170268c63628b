"""What the process holds after each of ten switches between two models: it must not grow with every switch.

python -m tests.benchmarks.switching [--repeats 3]     # one run, whatever --repeats says
"""

import tempfile
from pathlib import Path
from shutil import copytree

from playground import open_engine
from playground.engine import Guest, House
from playground.models import REGISTERED
from playground.sources.given import source
from tests.benchmarks.measure import main
from tests.benchmarks.memory import held

SWITCHES = 10
STEPS = 4


def rows(repeats: int) -> list[tuple[str, str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other"
        copytree(REGISTERED["pocket"], other)
        house = House(open_engine)
        guests = [Guest(house, source(given)) for given in ("pocket", other)]
        held_after = []
        for i in range(SWITCHES):
            guest = guests[i % 2]
            guest.render(guest.facts.usual.replace(num_inference_steps=STEPS, seed=i))
            held_after.append(held())
        house.close()
    told = ", ".join(f"{held_after[n - 1]:.0f} MB after {n}" for n in (2, SWITCHES // 2, SWITCHES))
    return [(f"memory over {SWITCHES} switches between two models of 19 M parameters", "–", told)]


if __name__ == "__main__":
    main(__doc__, rows)
