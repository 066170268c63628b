"""What the benchmarks share: interleaved timing, the machine's name, the models they run."""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

from playground import Recipe
from playground.engine import Engine
from playground.schedule import scheduler_for


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def interleaved(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each; taken in turns, so that a slow moment of the machine meets all of them."""
    for work in runs.values():
        work()  # warm up
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, work in runs.items():
            taken[name].append(seconds(work))
    return {name: statistics.median(values) for name, values in taken.items()}


def ratio(before: float, after: float) -> str:
    """Two times in seconds, as a table says them."""
    return f"{before / after:.2f}× ({before:.1f} s → {after:.1f} s)"


def machine() -> str:
    """The processor or card, as the system names it, and the threads used."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    names = [
        line.split(":")[1].strip()
        for line in (Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else [])
        if line.startswith("model name")
    ]
    try:
        openvino = f", OpenVINO {version('openvino')}"
    except PackageNotFoundError:
        openvino = ""
    processor = names[0] if names else platform.processor()
    return f"{processor}, {torch.get_num_threads()} threads, torch {torch.__version__}{openvino}"


def main(description: str | None, rows: Callable[[int], list[tuple[str, str, str]]]) -> None:
    """The command line of one benchmark: its (work, against, measured) rows, printed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    found = rows(parser.parse_args().repeats)
    print(machine())
    for work, against, measured in found:
        print(f"{work:60} {against:50} {measured}")


def draw(engine: Engine, cells: list[Recipe], previews: bool = True) -> None:
    for _ in engine.run(cells, previews=previews):
        pass


def pipeline_loop(pipeline: StableDiffusionPipeline, cells: list[Recipe]) -> None:
    """What a person without this engine does: one call after the other."""
    schedule = pipeline.scheduler.config
    for recipe in cells:
        pipeline.scheduler = scheduler_for(recipe, schedule)
        pipeline(
            recipe.prompt,
            width=recipe.width,
            height=recipe.height,
            num_inference_steps=recipe.num_inference_steps,
            guidance_scale=recipe.guidance_scale,
            generator=torch.Generator().manual_seed(recipe.seed),
        )
