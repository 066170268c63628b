"""A quick look at training/unet.pt: a few prompts of each task drawn by its averaged weights and judged, in minutes.

    python -m examples.train_pocket.quick                  # 40 prompts a task, one seed, 12 steps
    python -m examples.train_pocket.quick --sheet out.png  # and a contact sheet of the first prompts of each task

Every call adds a line to training/curve.tsv: samples seen, then for each task the share that is right and, in brackets,
the easier half of it. The prompts are PocketEval's, but one seed and few steps make it coarse: ± 7 points. `evaluate`
measures what is shipped.
"""

import argparse
import time
from pathlib import Path

import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from PIL import Image

from .judge import load_judge
from .learning.networks import SCHEDULE, made_fast, samples_seen, tokenizer, trained_model
from .learning.train import device_and_threads, has_bf16
from .scenes.things import WORK
from .scoring.pocket_eval import TASKS, prompts, score, summary
from .strips import row, stacked
from .vae import trained_vae

GUIDANCE_SCALE = 5.0
BATCH = 40
SHOWN = 8  # prompts of each task on the sheet


def pipeline(device: torch.device) -> StableDiffusionPipeline:
    """Diffusers' own, around the averaged weights of training/unet.pt."""
    model, scaling_factor = trained_model(device)
    made_fast(model, device)
    vae = trained_vae(device)
    vae.register_to_config(scaling_factor=scaling_factor)
    pipe = StableDiffusionPipeline(
        vae=vae, text_encoder=model.text_encoder, tokenizer=tokenizer(), unet=model.unet,
        scheduler=DPMSolverMultistepScheduler.from_config(SCHEDULE, steps_offset=1),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    return pipe


def drawn(pipe: StableDiffusionPipeline, words: list[str], steps: int, seed: int = 0) -> list[Image.Image]:
    """One picture of each prompt; the i-th has the noise of seed + i."""
    pictures = []
    for first in range(0, len(words), BATCH):
        batch = words[first : first + BATCH]
        generators = [torch.Generator().manual_seed(seed + first + i) for i in range(len(batch))]
        with torch.autocast(pipe.device.type, torch.bfloat16, enabled=has_bf16(pipe.device)):
            pictures += pipe(
                batch,
                guidance_scale=GUIDANCE_SCALE,
                num_inference_steps=steps,
                generator=generators,
                height=128,
                width=128,
            ).images
    return pictures


def measured(pipe: StableDiffusionPipeline, n: int, steps: int) -> tuple[dict[str, dict], list[Image.Image]]:
    """-> task -> its summary; a row of pictures of each task"""
    judge, report, rows = load_judge(), {}, []
    for task in TASKS:
        asked = prompts(task, n)
        pictures = drawn(pipe, [a.prompt for a in asked], steps)
        report[task] = summary([[score(a, found)] for a, found in zip(asked, judge.look(pictures), strict=True)])
        rows.append(row(pictures[:SHOWN], [a.prompt for a in asked[:SHOWN]]))
    return report, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=40, help="of each task")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--sheet", type=Path, help="write a contact sheet here")
    args = parser.parse_args()
    device, start = device_and_threads(), time.monotonic()
    samples, pipe = samples_seen(), pipeline(device)
    report, rows = measured(pipe, args.prompts, args.steps)
    figures = [f"{values['right']:.2f} ({values['partly']:.2f})" for values in report.values()]
    curve = WORK / "curve.tsv"
    if not curve.exists():
        curve.write_text("\t".join(["samples", *report]) + "\n", encoding="utf-8")
    with curve.open("a", encoding="utf-8") as lines:
        lines.write("\t".join([str(samples), *figures]) + "\n")
    print(samples, dict(zip(report, figures, strict=True)), f"{time.monotonic() - start:.0f} s", flush=True)
    if args.sheet:
        stacked(rows).save(args.sheet)


if __name__ == "__main__":
    main()
