"""Measure the shipped weights and write playground/models/pocket/evaluation.json and samples.png.

    python -m examples.train_pocket.evaluate --prompts 220

Half of the prompts are (thing, background) pairs that training never showed. 20 steps of DPM++ 2M, one seed a prompt,
at guidance 5, 3 and 1. Three figures: the background obeyed (the median colour of the picture's border is nearest, in
Lab, to the named one of eleven), the thing recognised by the judge (top 1 and top 5 of all names), and the VAE's PSNR
on sprites it never trained on.
"""

import argparse
import json
import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from playground import Recipe, open_engine
from playground.engine import Done, Engine

from .colours import BACKGROUNDS, lab, nearest_colour
from .judge import Judge, load_judge, names_ranked
from .text import POCKET
from .things import STYLES, held_out, things
from .train import load_checkpoint
from .vae import psnr, unseen_pictures

GUIDANCE_SCALES = (5.0, 3.0, 1.0)
BORDER = 6  # pixels


def background_of(picture: Image.Image) -> str:
    """The named background nearest to the median colour of the picture's border."""
    pixels = np.asarray(picture.convert("RGB"))
    inner = np.ones(pixels.shape[:2], bool)
    inner[BORDER:-BORDER, BORDER:-BORDER] = False
    return nearest_colour(lab(np.median(pixels[inner], axis=0)))


def prompts(n: int) -> list[tuple[str, str, bool]]:
    """n (name, background, held out?) triples, half of them held out; the same on every call."""
    pairs = [(name, colour) for _, name in things() for colour in BACKGROUNDS]
    rng = random.Random("evaluate")
    unseen = rng.sample([p for p in pairs if held_out(*p)], n // 2)
    seen = rng.sample([p for p in pairs if not held_out(*p)], n - n // 2)
    return [(*p, True) for p in unseen] + [(*p, False) for p in seen]


def pictures_of(engine: Engine, recipes: list[Recipe]) -> list[Image.Image]:
    done: dict[int, Image.Image] = {}
    for first in range(0, len(recipes), 32):
        for event in engine.run(recipes[first : first + 32], previews=False):
            if isinstance(event, Done):
                done[first + event.cell] = event.result.image
    return [done[i] for i in range(len(recipes))]


def scores(engine: Engine, judge: Judge, asked: list[tuple[str, str, bool]], guidance_scale: float) -> dict:
    """Shares of prompts obeyed, for all and for the held-out half."""
    recipes = [
        Recipe(prompt=f"{name}, {colour} background", guidance_scale=guidance_scale, seed=i)
        for i, (name, colour, _) in enumerate(asked)
    ]
    pictures = pictures_of(engine, recipes)
    ranked = names_ranked(judge, pictures)
    rows = [
        {
            "held_out": unseen,
            "background": background_of(picture) == colour,
            "top1": names[0] == name,
            "top5": name in names,
        }
        for (name, colour, unseen), picture, names in zip(asked, pictures, ranked, strict=True)
    ]

    def share(key: str, only_held_out: bool = False) -> float:
        return round(float(np.mean([row[key] for row in rows if row["held_out"] or not only_held_out])), 4)

    return {key: share(key) for key in ("background", "top1", "top5")} | {
        f"{key}_held_out": share(key, True) for key in ("background", "top1", "top5")
    }


def sample_sheet(engine: Engine, asked: list[tuple[str, str, bool]], path: Path) -> None:
    """32 evaluation prompts as a labelled picture; not chosen by hand."""
    chosen = asked[:: max(1, len(asked) // 32)][:32]
    pictures = pictures_of(
        engine, [Recipe(prompt=f"{n}, {c} background", seed=i) for i, (n, c, _) in enumerate(chosen)]
    )
    sheet = Image.new("RGB", (8 * 136 + 8, 4 * 154 + 8), "white")
    pen = ImageDraw.Draw(sheet)
    for i, ((name, colour, _), picture) in enumerate(zip(chosen, pictures, strict=True)):
        x, y = 8 + i % 8 * 136, 8 + i // 8 * 154
        sheet.paste(picture, (x, y))
        pen.text((x, y + 130), f"{name}, {colour}"[:22], fill="black")
    sheet.save(path, optimize=True)


def write_card(report: dict) -> None:
    """Put the measured figures between the card's two marks, so that the card never says anything else."""
    lines = [
        "## What was measured",
        "",
        f"By `python -m examples.train_pocket.evaluate` on {report['prompts']} prompts, {report['held_out']} of them "
        "(thing, background) pairs held out of training; 20 steps of DPM++ 2M, one seed a prompt. The judge is a "
        "classifier trained on real renders only "
        f"(top-1 {report['judge_top1']:.1%}".replace("%", " %")
        + " on unseen real renders).",
        "",
        "| | " + " | ".join(f"guidance {g}" for g in report["guidance"]) + " |",
        "|---|" + "---|" * len(report["guidance"]),
    ]
    rows = {
        "background": "background obeyed",
        "top5": "thing within the judge's first 5 of 492",
        "top1": "thing named first",
    }
    for key, label in rows.items():
        for suffix, where in (("", "all"), ("_held_out", "held out")):
            values = [f"{s[key + suffix]:.0%}".replace("%", " %") for s in report["guidance"].values()]
            lines.append(f"| {label}, {where} | " + " | ".join(values) + " |")
    lines += [
        "",
        f"VAE: {report['vae_psnr']:.1f} dB PSNR on sprites it never trained on, over four styles; by style: "
        + ", ".join(f"{style} {value:.1f} dB" for style, value in report["vae_psnr_by_style"].items())
        + ". U-Net and text encoder: "
        f"{report['samples_seen']:,} samples in {report['training_minutes']} minutes.",
        "",
        "![32 of the prompts, not chosen by hand](samples.png)",
    ]
    card = POCKET / "README.md"
    before, rest = card.read_text(encoding="utf-8").split("<!-- scores:", 1)
    mark, after = rest.split("<!-- end of scores -->", 1)
    mark = mark.splitlines()[0]
    card.write_text(
        f"{before}<!-- scores:{mark}\n" + "\n".join(lines) + f"\n<!-- end of scores -->{after}", encoding="utf-8"
    )


def unseen_psnr(engine: Engine, styles: tuple[str, ...]) -> float:
    """dB, of the shipped VAE on sprites of these styles that it never trained on"""
    return round(psnr(engine.model.vae.float(), unseen_pictures(styles=styles).to(torch.float32)), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=220)
    args = parser.parse_args()
    engine, judge, asked = open_engine("pocket"), load_judge(), prompts(args.prompts)
    state = load_checkpoint("unet") or {}
    report = {
        "prompts": len(asked),
        "held_out": sum(unseen for *_, unseen in asked),
        "sampler": "dpmpp_2m",
        "num_inference_steps": 20,
        "samples_seen": state.get("samples"),
        "training_minutes": round(state["seconds"] / 60) if state else None,
        "vae_psnr": unseen_psnr(engine, STYLES),
        "vae_psnr_by_style": {style: unseen_psnr(engine, (style,)) for style in STYLES},
        "judge_top1": (load_checkpoint("judge") or {})["top1"],
        "guidance": {},
    }
    for guidance_scale in GUIDANCE_SCALES:
        report["guidance"][f"{guidance_scale:g}"] = scores(engine, judge, asked, guidance_scale)
        print(guidance_scale, report["guidance"][f"{guidance_scale:g}"], flush=True)
    (POCKET / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n")
    sample_sheet(engine, asked, POCKET / "samples.png")
    write_card(report)
    print(f"VAE {report['vae_psnr']} dB")


if __name__ == "__main__":
    main()
