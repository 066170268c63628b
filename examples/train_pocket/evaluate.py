"""Measure the shipped weights: PocketEval, what each control does to the scores, and the model card's pictures.

    python -m examples.train_pocket.evaluate            # about half an hour on two cores
    python -m examples.train_pocket.evaluate --quick    # a quarter of the prompts; the card then says so

It needs training/judge.pt. Every picture is kept in training/eval as it comes, by its recipe and the weights, so a run
that was stopped goes on. At the end it writes evaluation.json, the card's pictures and the part of the card between its
marks, all in playground/models/pocket. The parts: pocket_eval.py (prompts, and what is right), detector.py and judge.py
(who says so), sweeps.py (the controls), drawn.py, measures.py, strips.py, charts.py, card.py.
"""

import argparse
import json
import random
from statistics import fmean

import torch
from PIL import Image

from playground import Recipe, open_engine
from playground.engine import LocalEngine

from . import card, strips
from .judge import accuracy, load_judge
from .learning.train import load_checkpoint
from .scenes.scene import draw
from .scenes.sprites import Sprites
from .scenes.things import STYLES
from .scoring import charts, sweeps
from .scoring.detector import as_batch
from .scoring.drawn import FOLDER, Drawings
from .scoring.measures import background_of
from .scoring.pocket_eval import TASKS, Asked, prompts, scene_of, score, summary
from .scoring.sweeps import FULL, QUICK, Bench, recipe
from .vae import psnr, unseen_pictures

SHOWN = 7  # prompts of each task on the card's sheet
SEEN = 50, 4  # typed prompts and seeds on the sheet that a person looks at


def real_renders(asked: list[Asked], seeds: int, sprites: Sprites) -> list[Image.Image]:
    """True pictures of these prompts, `seeds` of each, differently placed."""
    rng = random.Random("real renders")
    return [Image.fromarray(draw(scene_of(a, rng), sprites)) for a in asked for _ in range(seeds)]


def task(bench: Bench, name: str, sprites: Sprites) -> tuple[dict, list[bool]]:
    """One task -> its figures, and for every picture whether the background is right, where one was said."""
    seeds, asked = bench.size.seeds, prompts(name, bench.size.prompts)
    pictures = bench.drawings.of([recipe(a, i, k) for i, a in enumerate(asked) for k in range(seeds)])

    def scored(shown: list[Image.Image]) -> dict:
        found = bench.judge.look(shown)
        return summary(
            [[score(a, things) for things in found[i * seeds : (i + 1) * seeds]] for i, a in enumerate(asked)]
        )

    real = scored(real_renders(asked, seeds, sprites))
    backgrounds = [background_of(p) == said for i, p in enumerate(pictures) if (said := asked[i // seeds].background)]
    return scored(pictures) | {"real": real["right"], "real_partly": real["partly"]}, backgrounds


def sheet(bench: Bench) -> Image.Image:
    """The first prompts of every task, one row a task; not chosen by hand."""
    rows = []
    for name in TASKS:
        asked = prompts(name, bench.size.prompts)[:SHOWN]
        pictures = bench.drawings.of([recipe(a, i, 0) for i, a in enumerate(asked)])
        rows.append(strips.row(pictures, [a.prompt for a in asked]))
    return strips.stacked(rows)


def seen(bench: Bench) -> Image.Image:
    """Typed prompts with seeds 0 to 3, 200 pictures in all, half as large: to be looked at, not only judged."""
    groups = []
    for asked in prompts("typed", bench.size.prompts)[: SEEN[0]]:
        recipes = [recipe(asked, 0, 0, seed=seed) for seed in range(SEEN[1])]
        small = [picture.resize((64, 64), Image.Resampling.LANCZOS) for picture in bench.drawings.of(recipes)]
        groups.append(strips.row(small, [asked.prompt[:40], *[""] * (SEEN[1] - 1)], wide=True))
    lines = [groups[i : i + 5] for i in range(0, len(groups), 5)]
    return strips.stacked([strips.beside(line) for line in lines])


def unseen_psnr(bench: Bench, styles: tuple[str, ...]) -> float:
    """dB, of the shipped VAE on sprites of these styles that it never trained on"""
    pictures = unseen_pictures(bench.size.vae_pictures, styles).to(bench.drawings.engine.model.device, torch.float32)
    return round(psnr(bench.drawings.engine.model.vae.float(), pictures), 2)


@torch.inference_mode()
def round_trip(engine: LocalEngine, pictures: list[Image.Image]) -> list[Image.Image]:
    """Pictures as the shipped VAE gives them back: encoded, without noise, and decoded."""
    vae, back = engine.model.vae, []
    for first in range(0, len(pictures), 16):
        batch = as_batch(pictures[first : first + 16]).to(engine.model.device)
        decoded = vae.decode(vae.encode(batch).latent_dist.mode()).sample
        pixels = (decoded.clamp(-1, 1) * 127.5 + 127.5).round().to("cpu", torch.uint8).permute(0, 2, 3, 1)
        back += [Image.fromarray(picture) for picture in pixels.numpy()]
    return back


def training_of_shipped(engine: LocalEngine) -> dict:
    """Samples and minutes of the U-Net's training, where training/unet.pt is what was exported, or what was said of the
    same weights before; else both None.

    Training may have gone on since; the last parameter, conv_out.bias, tells.
    """
    before = card.noted("evaluation") if card.REPORT.exists() else {}
    if before.get("weights") == engine.facts.fingerprint:
        return {name: before[name] for name in ("samples_seen", "training_minutes")}
    state, bias = load_checkpoint("unet"), engine.model.unet.conv_out.bias
    if state is None or not torch.equal(state["average"]["values"][-1].half().to(bias.dtype), bias.cpu()):
        return {"samples_seen": None, "training_minutes": None}
    return {"samples_seen": state["samples"], "training_minutes": round(state["seconds"] / 60)}


def header(bench: Bench, sprites: Sprites) -> dict:
    """How everything below was measured, and with what."""
    usual = Recipe()
    known = (load_checkpoint("judge") or {}).get("accuracy")
    return {
        "quick": bench.size != FULL,
        "weights": bench.drawings.engine.facts.fingerprint,
        **training_of_shipped(bench.drawings.engine),
        "sampler": usual.sampler,
        "num_inference_steps": usual.num_inference_steps,
        "guidance_scale": sweeps.GUIDANCE_SCALE,
        "seeds": bench.size.seeds,
        "judge": known or accuracy(bench.judge, sprites),
    }


def measured(bench: Bench, sprites: Sprites) -> dict:
    """The whole report, printed as it grows."""
    report = header(bench, sprites)

    def note(key: str, value: object) -> None:
        report[key] = value
        print(key, json.dumps(value), flush=True)

    note("vae_psnr", unseen_psnr(bench, STYLES))
    note("vae_psnr_by_style", {style: unseen_psnr(bench, (style,)) for style in STYLES})
    report["tasks"], backgrounds = {}, []
    for name in TASKS:
        report["tasks"][name], right = task(bench, name, sprites)
        backgrounds += right
        print(name, json.dumps(report["tasks"][name]), flush=True)
    note("background", {"pictures": len(backgrounds), "right": round(fmean(backgrounds), 4)})
    seeds = bench.size.seeds
    real = real_renders(bench.singles, seeds, sprites)
    drawn = bench.drawings.of([recipe(a, i, k) for i, a in enumerate(bench.singles) for k in range(seeds)])
    note("frechet", sweeps.frechet_distances(bench, drawn, real))
    note("real", sweeps.real_measures(bench, [a for a in bench.singles for _ in range(seeds)], real, seeds))
    note("round_trip", bench.measured(bench.singles, round_trip(bench.drawings.engine, real[::seeds])))
    note("guidance", sweeps.guidance(bench, real[::seeds]))
    note("steps", sweeps.steps(bench))
    note("samplers", sweeps.samplers(bench))
    note("solver_errors", sweeps.solver_errors(bench))
    note("wording", sweeps.wording(bench))
    note("negative", sweeps.negative(bench))
    note("lcm", sweeps.lcm(bench))
    note("styles", sweeps.styles(bench))
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few prompts and seeds")
    args = parser.parse_args()
    judge, sprites = load_judge(), Sprites()
    engine = open_engine("pocket")
    engine.warm_up()
    bench = Bench(Drawings(engine), judge, QUICK if args.quick else FULL)
    report = measured(bench, sprites)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for strip in strips.strips():
        strips.draw(bench.drawings, strip)
    strips.save(sheet(bench), "tasks")
    strips.save(seen(bench), "seen", quality=60)
    charts.curves(report)
    card.REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    card.write(report)
    print(f"Written: {card.REPORT}")


if __name__ == "__main__":
    main()
