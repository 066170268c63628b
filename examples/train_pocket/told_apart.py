"""How well the U-Net tells a true caption from near misses of it: a metric that moves within minutes of training.

    python -m examples.train_pocket.told_apart             # training/unet.pt's average, or the shipped weights
    python -m examples.train_pocket.told_apart --cases 16  # quick and coarse

A diffusion classifier (Li et al. 2023, https://arxiv.org/abs/2303.16203) on held-out combinations, the prompts of
PocketEval: one real render and up to ten captions that differ in one thing, hue, side or number. All captions get the
same latents, timesteps and noise, and the one with the least error where the things are is the answer. It needs no
judge and no picture drawn, and tells what a thing looks like (by its size), to which word a colour or place belongs.
"""

import argparse
import random
from dataclasses import dataclass, replace
from statistics import fmean

import torch
from torch import Tensor

from .latents import encoded
from .learning.diet import covered
from .learning.networks import TextToNoise, made_fast, tokenizer, trained_model
from .learning.train import device_and_threads, has_bf16
from .scenes.captions import NUMBERS, RELATION_WORDS
from .scenes.colours import HUES
from .scenes.sprites import Sprites
from .scenes.things import COMMON, table
from .scoring.pocket_eval import Asked, prompts, scene_of
from .text import token_ids
from .unet import DenoisingLoss
from .vae import trained_vae

CASES = 48  # prompts of each row
TIMES = (250, 450, 650)  # timesteps, each with noise of its own: SNR from 2 down to 0.13
# of a side and a number, which show through more noise than what the things are: SNR from 0.13 down to 0.01
LATE = (650, 800, 930)
ALTERNATIVES = 10  # captions of one picture at most
# (task of PocketEval, what is swapped): the things in the first are large, in the others small
ROWS = (
    ("single", "thing"), ("two", "thing"), ("counting", "thing"), ("colours", "hue"), ("binding", "hue"),
    ("binding", "exchanged hues"), ("position", "side"), ("counting", "number"),
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What the U-Net made of one case."""

    right: bool
    margin: float  # mean error of the wrong captions over that of the true one, minus 1
    error: float  # of the true caption, per value


def worded(asked: Asked) -> str:
    """The prompt of PocketEval for what is asked."""
    things = [table()[row] for row in asked.things]
    if asked.number > 1:
        words = f"{NUMBERS[asked.number]} {things[0].plural}"
    else:
        hues = asked.hues or (None,) * len(things)
        names = [f"{hue} {thing.noun}" if hue else thing.name for thing, hue in zip(things, hues, strict=True)]
        link = RELATION_WORDS[asked.relation][0] if asked.relation else "and"
        words = f" {link} ".join(names)
    return f"{words}, {asked.background} background"


def near_misses(asked: Asked, swapped: str, rng: random.Random) -> list[Asked]:
    """At most nine variants of which none is true."""
    if swapped == "thing":
        others = [r for r in range(COMMON) if r not in asked.things and (asked.number == 1 or table()[r].plural)]
        return [replace(asked, things=(row, *asked.things[1:])) for row in rng.sample(others, ALTERNATIVES - 1)]
    if swapped == "hue":
        return [replace(asked, hues=(hue, *asked.hues[1:])) for hue in HUES if hue not in asked.hues]
    if swapped == "exchanged hues":
        return [replace(asked, hues=asked.hues[::-1])]
    if swapped == "side":
        return [replace(asked, relation=relation) for relation in RELATION_WORDS if relation != asked.relation]
    return [replace(asked, number=number) for number in NUMBERS if number != asked.number]


def where(asked: Asked, swapped: str, cells: Tensor) -> Tensor:
    """Cells that each part covers (parts, 16, 16) -> those that the errors are taken from (16, 16) bool"""
    if swapped == "number":  # a thing too many would stand beside them
        return torch.ones_like(cells[0])
    if swapped in ("thing", "hue") and asked.number == 1:
        return cells[0]
    return cells.any(0)


@torch.inference_mode()
def answers(
    model: TextToNoise, cases: list[tuple[Asked, list[Asked], Tensor, Tensor]], at: tuple[int, ...] = TIMES
) -> list[Answer]:
    """Cases of (true, near misses, latents (4, 16, 16), cells (16, 16)) -> what the U-Net says of each"""
    loss, words, found = DenoisingLoss(next(model.parameters()).device), tokenizer(), []
    device = next(model.parameters()).device
    times, draws = torch.tensor(at), torch.Generator().manual_seed(0)
    for asked, wrong, latents, cells in cases:
        captions = [worded(asked), *(worded(other) for other in wrong)]
        noise = torch.randn((len(times), 4, 16, 16), generator=draws)
        noisy = loss.schedule.add_noise(latents.expand(len(times), -1, -1, -1), noise, times)
        n = len(captions)
        states = model.text_encoder(token_ids(words, captions).to(device)).last_hidden_state
        with torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device)):
            predicted = model.unet(
                noisy.repeat(n, 1, 1, 1).to(device), times.repeat(n).to(device), states.repeat_interleave(len(times), 0)
            ).sample
        errors = (predicted.float().cpu().view(n, len(times), 4, 16, 16) - noise).square().mean((1, 2))  # (n, 16, 16)
        error = errors[:, cells].mean(1)
        found.append(Answer(int(error.argmin()) == 0, (error[1:].mean() / error[0] - 1).item(), error[0].item()))
    return found


def cases_of(task: str, swapped: str, n: int, latents: dict[str, Tensor], rng: random.Random) -> list:
    """The first n prompts of a task with their near misses, latents of a true render and cells to look at."""
    cases = []
    for asked in prompts(task, n):
        scene = scene_of(asked, random.Random(asked.prompt))
        wrong = near_misses(asked, swapped, rng)
        cases.append((asked, wrong, latents[asked.prompt], where(asked, swapped, covered(scene))))
    return cases


def measured(model: TextToNoise, scaling_factor: float, n: int = CASES) -> dict[str, dict[str, float]]:
    """row -> chance, right (share), margin, error"""
    device = next(model.parameters()).device
    vae, sprites, latents, report = trained_vae(device), Sprites(), {}, {}
    for task in dict.fromkeys(task for task, _ in ROWS):
        asked = prompts(task, n)
        means = encoded(vae, [scene_of(a, random.Random(a.prompt)) for a in asked], sprites, device)
        latents |= {a.prompt: mean * scaling_factor for a, mean in zip(asked, means.float(), strict=True)}
    for task, swapped in ROWS:
        cases = cases_of(task, swapped, n, latents, random.Random("near misses"))
        found = answers(model, cases, LATE if swapped in ("side", "number") else TIMES)
        report[f"{task}: {swapped}"] = {
            "chance": round(fmean(1 / (1 + len(wrong)) for _, wrong, *_ in cases), 3),
            "right": round(fmean(answer.right for answer in found), 3),
            "margin": round(fmean(answer.margin for answer in found), 4),
            "error": round(fmean(answer.error for answer in found), 4),
        }
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=CASES, help="prompts of each row, at most 100")
    args = parser.parse_args()
    device = device_and_threads()
    model, scaling_factor = trained_model(device)
    for row, values in measured(made_fast(model, device), scaling_factor, args.cases).items():
        print(f"{row:>24}", " ".join(f"{key}={value}" for key, value in values.items()), flush=True)


if __name__ == "__main__":
    main()
