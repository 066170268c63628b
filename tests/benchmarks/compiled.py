"""The engine with the network compiled (`python app.py --compile`), against the engine without, in one run.

    python -m tests.benchmarks.compiled [--repeats 3]

Compiling itself takes a minute or more the first time; torch keeps what it compiled for later starts.
"""

from playground import open_engine
from tests.benchmarks.grid_vs_pipeline import FIVE, GUIDANCE
from tests.benchmarks.measure import draw, interleaved, main

WORK = ("8-cell guidance grid, 20 steps, `--compile`", "5-cell guidance grid, 20 steps, `--compile`")
AGAINST = "the same without"


def rows(repeats: int) -> list[tuple[str, str, str]]:
    plain, compiled = open_engine("pocket"), open_engine("pocket")
    try:
        compiled.model.compile()
    except ValueError as error:  # nothing to compile with
        return [(work, AGAINST, str(error)) for work in WORK]
    for engine in (plain, compiled):
        engine.warm_up()
    taken = interleaved(
        {
            "8, plain": lambda: draw(plain, GUIDANCE),
            "8": lambda: draw(compiled, GUIDANCE),
            "5, plain": lambda: draw(plain, FIVE),
            "5": lambda: draw(compiled, FIVE),
        },
        repeats,
    )
    return [
        (work, AGAINST, f"{before / after:.2f}× ({before:.1f} s → {after:.1f} s)")
        for work, before, after in (
            (WORK[0], taken["8, plain"], taken["8"]),
            (WORK[1], taken["5, plain"], taken["5"]),
        )
    ]


if __name__ == "__main__":
    main(__doc__, rows)
