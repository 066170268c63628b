"""All benchmarks of this machine, as the table that the README shows.

python -m tests.benchmarks [--repeats 3] [--write]     # --write puts it into README.md
"""

import argparse
import multiprocessing
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.benchmarks import (
    compiled,
    grid_vs_pipeline,
    in_browser,
    large_grid,
    large_model,
    memory,
    overheads,
    switching,
    visitors,
)
from tests.benchmarks.measure import machine

Row = tuple[str, str, str]  # work, against, measured
README = Path(__file__).parents[2] / "README.md"


def alone(rows: Callable[[int], list[Row]], repeats: int) -> list[Row]:
    """In a process of its own, so that what one benchmark leaves in memory is no part of another."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(rows, repeats).result()


def table(repeats: int) -> str:
    parts = (grid_vs_pipeline, compiled, visitors, overheads, in_browser, large_grid, memory, switching, large_model)
    found = [row for part in parts for row in alone(part.rows, repeats)]
    lines = [f"| {work} | {against} | {measured} |" for work, against, measured in found]
    head = "| work | against | measured |\n|---|---|---|\n"
    return f"{machine()}; medians of {repeats}, interleaved:\n\n{head}" + "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="replace the table in README.md")
    args = parser.parse_args()
    made = table(args.repeats)
    print(made)
    if args.write:
        text = README.read_text(encoding="utf-8")
        marked = f"<!-- benchmarks -->\n{made}\n<!-- /benchmarks -->"
        text, count = re.subn(r"<!-- benchmarks -->.*<!-- /benchmarks -->", lambda _: marked, text, flags=re.S)
        if count != 1:
            raise SystemExit("README.md has no place marked for the table.")
        README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
