"""Grids through the engine, against a loop of StableDiffusionPipeline calls with the same weights, in one run.

    python -m tests.benchmarks.grid_vs_pipeline [--repeats 3]

Rows: an 8-cell guidance grid by both runtimes of a CPU, alone and beside a process that computes all the time, a grid
of 4 step counts × 4 samplers, and a lone cell; the pipeline always has diffusers' defaults (fp32 on a CPU). Then a
5-cell grid and a grid of few steps by a LoRA, from asking to the last picture.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from diffusers import StableDiffusionPipeline

from playground import Recipe, Sweep, open_engine
from playground.models import REGISTERED
from playground.models.running.device import default_device
from tests.benchmarks.measure import draw, interleaved, main, pipeline_loop, ratio

BASE = Recipe(prompt="red apple, blue background", seed=7)
GUIDANCE = Sweep(BASE, {"guidance_scale": [1.5, 2, 3, 4, 5, 7, 9, 15]}).recipes()
STEPS = Sweep(
    BASE, {"num_inference_steps": [5, 10, 20, 40], "sampler": ["ddim", "dpmpp_2m", "euler_a", "heun"]}
).recipes()
AGAINST = "loop of `StableDiffusionPipeline`, fp32"
FIVE = Sweep(BASE, {"guidance_scale": [1, 3, 5, 9, 15]}).recipes()
BY_LCM = BASE.replace(loras={"lcm": 1.0}, sampler="lcm", num_inference_steps=4, guidance_scale=1)
FEW = [BY_LCM.replace(seed=seed) for seed in range(8)]
LAST = "s to the last picture"


@contextmanager
def one_busy_process() -> Iterator[None]:
    """As many cores as there are have one more program to run."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def rows(repeats: int) -> list[tuple[str, str, str]]:
    """(work, against, measured) for the table"""
    device = default_device()
    pipeline = StableDiffusionPipeline.from_pretrained(REGISTERED["pocket"]).to(device)
    pipeline.set_progress_bar_config(disable=True)
    usual, by_torch = open_engine("pocket", device), open_engine("pocket", device, runtime="torch")
    for engine in (usual, by_torch):
        engine.warm_up()
    precision = str(usual.model.dtype).removeprefix("torch.")
    grids = {
        "loop": lambda: pipeline_loop(pipeline, GUIDANCE),
        "usual": lambda: draw(usual, GUIDANCE),
        "torch": lambda: draw(by_torch, GUIDANCE),
    }
    taken = interleaved(
        grids
        | {
            "loop of steps": lambda: pipeline_loop(pipeline, STEPS),
            "usual steps": lambda: draw(usual, STEPS),
            "torch steps": lambda: draw(by_torch, STEPS),
            "one": lambda: pipeline_loop(pipeline, GUIDANCE[:1]),
            "usual one": lambda: draw(usual, GUIDANCE[:1]),
            "torch one": lambda: draw(by_torch, GUIDANCE[:1]),
            "five": lambda: draw(usual, FIVE),
            "torch five": lambda: draw(by_torch, FIVE),
            "few": lambda: draw(usual, FEW),
            "torch few": lambda: draw(by_torch, FEW),
        },
        repeats,
    )
    with one_busy_process():
        beside = interleaved(grids, repeats)
    unet = sum(p.numel() for p in usual.model.unet.parameters()) / 1e6

    found = []
    for name, runtime in (("usual", usual.runtime), ("torch", by_torch.runtime)):
        prefix = "" if name == "usual" else "torch "
        five, few = taken[f"{prefix}five"], taken[f"{prefix}few"]
        found += [
            (f"8-cell guidance grid, 20 steps, {runtime} {precision}", AGAINST, ratio(taken["loop"], taken[name])),
            (f"same, one busy process beside both, {runtime}", AGAINST, ratio(beside["loop"], beside[name])),
            (
                f"steps 5, 10, 20, 40 × 4 samplers, {runtime}",
                AGAINST,
                ratio(taken["loop of steps"], taken[f"{name} steps"]),
            ),
            (
                f"one cell alone, {runtime}",
                "`StableDiffusionPipeline`, fp32",
                ratio(taken["one"], taken[f"{name} one"]),
            ),
            (
                f"5-cell guidance grid, 20 steps, U-Net of {unet:.1f} M, {runtime}",
                "–",
                f"{five:.2f} {LAST}",
            ),
            (f"8 cells with the LCM LoRA, 4 steps, guidance 1, {runtime}", "–", f"{few:.2f} {LAST}"),
        ]
    return found


if __name__ == "__main__":
    main(__doc__, rows)
