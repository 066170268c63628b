"""What the engine adds to the network's own time: previews, and the loop itself; and what a changed value costs.

python -m tests.benchmarks.overheads [--repeats 3]
"""

import tempfile
from pathlib import Path
from typing import Any

import torch

from playground import open_engine
from playground.engine import LocalEngine
from playground.render import render
from playground.store import Store
from tests.benchmarks.grid_vs_pipeline import GUIDANCE
from tests.benchmarks.measure import draw, interleaved, main


def bare(engine: LocalEngine, calls: list[int]) -> None:
    """The same network calls with the same batch sizes and the same final decoding, and nothing else."""
    model, text = engine.model, engine.model.encode("red apple, blue background")
    for n in calls:
        model.predict(
            torch.zeros(n, *engine.facts.latent_shape(128, 128)[1:]).to(model.device),
            torch.full((n,), 500.0).to(model.device),
            [text] * n,
        )
    model.decode(torch.zeros(len(GUIDANCE), *engine.facts.latent_shape(128, 128)[1:]).to(model.device))


def batch_sizes(engine: LocalEngine) -> list[int]:
    """Rows of every network call of one run of the grid."""
    calls: list[int] = []
    real = engine.model.predict

    def noting(latents: torch.Tensor, *others: Any) -> torch.Tensor:
        calls.append(len(latents))
        return real(latents, *others)

    engine.model.predict = noting  # type: ignore[method-assign]
    draw(engine, GUIDANCE)
    engine.model.predict = real  # type: ignore[method-assign]
    return calls


def evaluations_of_a_changed_value(engine: LocalEngine) -> tuple[int, int]:
    """-> (network rows run for the grid with one value changed, rows that the new cell alone needs)"""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for _ in render(engine, store, GUIDANCE):
            pass
        changed = [*GUIDANCE[:-1], GUIDANCE[-1].replace(guidance_scale=12.0)]
        rows = 0
        real = engine.model.predict

        def counting(latents: torch.Tensor, *others: Any) -> torch.Tensor:
            nonlocal rows
            rows += len(latents)
            return real(latents, *others)

        engine.model.predict = counting  # type: ignore[method-assign]
        for _ in render(engine, store, changed):
            pass
        engine.model.predict = real  # type: ignore[method-assign]
        store.close()
    return rows, engine.facts.evaluations(changed[-1])


def rows(repeats: int) -> list[tuple[str, str, str]]:
    engine = open_engine("pocket")
    engine.warm_up()
    draw(engine, GUIDANCE)  # by which it learns how many rows a call should have
    calls = batch_sizes(engine)
    taken = interleaved(
        {
            "off": lambda: draw(engine, GUIDANCE, previews=False),
            "on": lambda: draw(engine, GUIDANCE),
            "bare": lambda: bare(engine, calls),
        },
        repeats,
    )
    run, needed = evaluations_of_a_changed_value(engine)
    previews, loop = taken["on"] / taken["off"] - 1, taken["off"] / taken["bare"] - 1
    return [
        ("one value of an 8-cell grid changed", "evaluations of the new cell", f"{run} run, {needed} needed"),
        ("previews", "previews off", f"{100 * previews:+.1f} % time ({taken['off']:.2f} s → {taken['on']:.2f} s)"),
        (
            "the loop itself, previews off",
            "bare U-Net and VAE calls of the same batch sizes",
            f"{100 * loop:+.1f} % time ({taken['bare']:.2f} s → {taken['off']:.2f} s)",
        ),
    ]


if __name__ == "__main__":
    main(__doc__, rows)
