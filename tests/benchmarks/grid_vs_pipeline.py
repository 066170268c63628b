"""Grids through the engine, against a loop of StableDiffusionPipeline calls with the same weights, in one run.

    python -m tests.benchmarks.grid_vs_pipeline [--repeats 3]

Rows: an 8-cell guidance grid in the engine's default precision and in fp32, and a grid of 4 step counts × 4 samplers;
the pipeline always has diffusers' defaults (fp32 on a CPU). Then one 5-cell grid from asking to the last picture.
"""

import torch
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


def rows(repeats: int) -> list[tuple[str, str, str]]:
    """(work, against, measured) for the table"""
    device = default_device()
    pipeline = StableDiffusionPipeline.from_pretrained(REGISTERED["pocket"]).to(device)
    pipeline.set_progress_bar_config(disable=True)
    exact, usual = open_engine("pocket", device, torch.float32), open_engine("pocket", device)
    for engine in (exact, usual):
        engine.warm_up()
    precision = str(usual.model.dtype).removeprefix("torch.")
    taken = interleaved(
        {
            "loop": lambda: pipeline_loop(pipeline, GUIDANCE),
            "exact": lambda: draw(exact, GUIDANCE),
            "usual": lambda: draw(usual, GUIDANCE),
            "loop of steps": lambda: pipeline_loop(pipeline, STEPS),
            "usual steps": lambda: draw(usual, STEPS),
            "five": lambda: draw(usual, FIVE),
        },
        repeats,
    )
    unet = sum(p.numel() for p in usual.model.unet.parameters()) / 1e6

    return [
        (
            f"8-cell guidance grid, 20 steps, default precision ({precision})",
            AGAINST,
            ratio(taken["loop"], taken["usual"]),
        ),
        ("same, fp32 on both sides", AGAINST, ratio(taken["loop"], taken["exact"])),
        ("steps 5, 10, 20, 40 × 4 samplers", AGAINST, ratio(taken["loop of steps"], taken["usual steps"])),
        (f"5-cell guidance grid, 20 steps, U-Net of {unet:.1f} M", "–", f"{taken['five']:.2f} s to the last picture"),
    ]


if __name__ == "__main__":
    main(__doc__, rows)
