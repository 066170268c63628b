"""All benchmarks of this machine, as the table that the README shows.

python -m tests.benchmarks [--repeats 3] [--write]     # --write puts it into README.md
"""

import argparse
import re
from pathlib import Path

from tests.benchmarks import compiled, grid_vs_pipeline, large_model, memory, overheads, visitors
from tests.benchmarks.measure import machine

README = Path(__file__).parents[2] / "README.md"


def table(repeats: int) -> str:
    found = [
        *grid_vs_pipeline.rows(repeats),
        *compiled.rows(repeats),
        *visitors.rows(repeats),
        *overheads.rows(repeats),
        *memory.rows(repeats),
        *large_model.rows(repeats),
    ]
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
