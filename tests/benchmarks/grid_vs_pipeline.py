"""An 8-cell guidance grid through the engine, against a loop of StableDiffusionPipeline calls, in one run.

    python -m tests.benchmarks.grid_vs_pipeline [--repeats 3]

Prints median seconds and their ratio, with fp32 on both sides and with the engine in its default precision.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from diffusers import StableDiffusionPipeline

from playground import Recipe, Sweep, open_engine
from playground.engine import Engine
from playground.models import default_device, default_dtype
from playground.models.latent import REGISTERED
from playground.samplers import SAMPLERS

SWEEP = Sweep(Recipe(prompt="red apple, blue background", seed=7), {"guidance_scale": [1.5, 2, 3, 4, 5, 7, 9, 15]})


def engine_grid(engine: Engine, previews: bool = True) -> None:
    for _ in engine.run(SWEEP.recipes(), previews):
        pass


def pipeline_loop(pipeline: StableDiffusionPipeline) -> None:
    for recipe in SWEEP.recipes():
        pipeline(
            recipe.prompt,
            num_inference_steps=recipe.num_inference_steps,
            guidance_scale=recipe.guidance_scale,
            generator=torch.Generator().manual_seed(recipe.seed),
        )


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    device = default_device()
    pipeline = StableDiffusionPipeline.from_pretrained(REGISTERED["pocket"]).to(device)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = SAMPLERS[SWEEP.base.sampler].make(pipeline.scheduler.config)
    engines = {
        "engine, fp32": open_engine("pocket", device, torch.float32),
        f"engine, default ({str(default_dtype(device)).removeprefix('torch.')})": open_engine("pocket", device),
    }
    runs: dict[str, Callable[[], None]] = {"loop of pipeline calls, fp32": lambda: pipeline_loop(pipeline)}
    runs |= {name: (lambda e=engine: engine_grid(e)) for name, engine in engines.items()}
    for work in runs.values():
        work()  # warm up
    # interleaved, so that a slow moment of the machine meets all of them
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, work in runs.items():
            taken[name].append(seconds(work))
    loop = statistics.median(taken["loop of pipeline calls, fp32"])
    print(f"8 cells, {SWEEP.base.num_inference_steps} steps, {device.type}, {torch.get_num_threads()} threads")
    for name, values in taken.items():
        print(f"{name:32} {statistics.median(values):7.2f} s   {loop / statistics.median(values):5.2f} x")


if __name__ == "__main__":
    main()
