"""Train the judge that scores Pocket's pictures: it finds and names the things in them. It only ever sees real renders.

    python -m examples.train_pocket.judge --minutes 20     # starts, or goes on from training/judge.pt
    python -m examples.train_pocket.judge --minutes 0      # only fits the last layer and measures

At the end it prints its accuracy on unseen real renders. It is used by `evaluate` alone and never in training the
generator. Its scenes are of all six kinds, over all things, styles and hues, those that training holds out included:
what the generator never saw, the judge must know.
"""

import argparse
import random
import time
from collections.abc import Sequence
from statistics import fmean

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .learning.train import (
    Average,
    Budget,
    Optimizers,
    arguments,
    device_and_threads,
    has_bf16,
    load_checkpoint,
    save_checkpoint,
)
from .scenes.colours import NAMES as COLOURS
from .scenes.scene import SIZE, Scene, draw, random_scene, stands_out
from .scenes.sprites import Sprites
from .scenes.stream import Scenes
from .scenes.things import COMMON, table
from .scoring.detector import CELL, GRID, Judge, as_batch, cut_out
from .scoring.distort import augmented, jittered
from .scoring.fit_looks import fit

SHARES = {
    "common": 0.16, "single": 0.36, "recoloured": 0.12, "relation": 0.11, "count": 0.06, "coloured": 0.12,
    "several": 0.07,
}  # fmt: skip
COMMON_SHARE = 0.42  # of the things outside `common`: as many as there are, and a little more
STYLE_SHARES = {"3d": 0.4, "flat": 0.2, "cartoon": 0.2, "sticker": 0.2}
POOL = 2000  # renders in memory; each is looked at a few times, differently distorted, before it is replaced
TAUGHT_SHARE = 0.7  # of the composed scenes, how many show common things in 3D, which is what PocketEval composes
FRESH = 0.3  # share of a batch that is drawn anew
NONE = -100  # F.cross_entropy's word for "do not ask"
UNSEEN = 2000  # renders for the accuracy at the end
PARTS = ("finding", "naming", "colour")  # of the loss


class AllScenes(Scenes):
    """Scenes without end that leave nothing out, in contrast to those the generator is trained on."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, SHARES)

    def common(self) -> Scene:
        return random_scene(self.rng, self.rng.randrange(COMMON), self.background())

    def allowed(self, kind: str) -> Scene:
        while True:
            taught = kind != "single" and self.rng.random() < TAUGHT_SHARE
            self.common_share = 1.0 if taught else COMMON_SHARE
            self.style_shares = {"3d": 1.0} if taught else STYLE_SHARES
            scene = getattr(self, kind)()
            if scene and stands_out(scene):
                return scene


def colour_label(scene: Scene, i: int) -> int:
    """The colour of a scene's part as the Namer counts them, or NONE where it has none."""
    part = scene.parts[i]
    colour = part.hue or (None if part.tone else table()[part.thing].colours.get(part.style))
    return COLOURS.index(colour) if colour else NONE


class Renders:
    """Batches of real renders with what is in them."""

    def __init__(self, seed: int, sprites: Sprites, pool: int = POOL) -> None:
        self.scenes, self.sprites, self.rng = iter(AllScenes(seed)), sprites, random.Random(seed)
        self.pool: list[tuple[np.ndarray, Scene]] = [self.new() for _ in range(pool)]
        self.oldest = 0

    def new(self) -> tuple[np.ndarray, Scene]:
        scene, _ = next(self.scenes)
        return draw(scene, self.sprites), scene

    def batch(self, n: int) -> tuple[Tensor, list[Scene]]:
        """-> pictures (n, 3, 128, 128), scenes"""
        for _ in range(int(FRESH * n)):
            self.pool[self.oldest] = self.new()
            self.oldest = (self.oldest + 1) % len(self.pool)
        chosen = self.rng.sample(self.pool, n)
        return as_batch([picture for picture, _ in chosen]), [scene for _, scene in chosen]


def parts_of(scenes: list[Scene]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """-> which picture (B,), boxes (B, 3) of x, y, side in pixels, names (B,), colours (B,)"""
    found = [
        (row, part.x, part.y, part.side, part.thing, colour_label(scene, i))
        for row, scene in enumerate(scenes)
        for i, part in enumerate(scene.parts)
    ]
    rows, x, y, side, names, colours = (torch.tensor(column) for column in zip(*found, strict=True))
    return rows, torch.stack([x, y, side], 1).float(), names, colours


def finder_loss(answer: Tensor, rows: Tensor, boxes: Tensor) -> Tensor:
    """Binary cross-entropy of the centre cells; distance of offsets and sides there and in the cells around.

    The eight neighbours of a centre are not asked whether they are one: a centre may lie on the border of two cells.
    """
    cells = (boxes[:, :2] / CELL).long().clamp(0, GRID - 1)
    truth, weight = torch.zeros_like(answer[:, 0]), torch.ones_like(answer[:, 0])
    around = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    distances = []
    for dx, dy in around:
        x, y = (cells[:, 0] + dx).clamp(0, GRID - 1), (cells[:, 1] + dy).clamp(0, GRID - 1)
        weight[rows, y, x] = 0
        right = torch.stack(
            [boxes[:, 0] / CELL - x - 0.5, boxes[:, 1] / CELL - y - 0.5, (boxes[:, 2] / SIZE).log() * 4], 1
        )
        told = answer[rows, 1:, y, x] * answer.new_tensor([1.0, 1.0, 4.0])
        distances.append((told - right).abs().mean())
    truth[rows, cells[:, 1], cells[:, 0]] = 1
    weight[rows, cells[:, 1], cells[:, 0]] = 3
    centre = F.binary_cross_entropy_with_logits(answer[:, 0], truth, weight, reduction="sum") / len(rows)
    return centre + 0.5 * torch.stack(distances).mean()


def losses(judge: Judge, pictures: Tensor, scenes: list[Scene]) -> tuple[Tensor, Tensor, Tensor]:
    """-> of finding, of naming, of the colours"""
    rows, boxes, names, colours = (column.to(pictures.device) for column in parts_of(scenes))
    cutouts = cut_out(pictures, rows, *jittered(boxes))
    with torch.autocast(pictures.device.type, torch.bfloat16, enabled=has_bf16(pictures.device)):
        found = judge.finder(F.avg_pool2d(pictures, 2))
        name_logits, colour_logits = judge.namer(cutouts)
    naming = F.cross_entropy(name_logits.float(), names, label_smoothing=0.05)
    colouring = F.cross_entropy(colour_logits.float(), colours, ignore_index=NONE)
    return finder_loss(found.float(), rows, boxes), naming, colouring


def load_judge() -> Judge:
    """The trained judge, for looking only."""
    state = load_checkpoint("judge")
    if state is None or "namer.looks.weight" not in state["judge"]:
        raise SystemExit("There is no training/judge.pt of this form; run examples.train_pocket.judge first.")
    judge = Judge()
    judge.load_state_dict(state["judge"])
    return judge.eval()


def accuracy(judge: Judge, sprites: Sprites, n: int = UNSEEN) -> dict[str, dict[str, float | int | None]]:
    """On n unseen renders of every kind, by kind of scene, by style, for `common` (single, in 3D) and for `all`.

    things: how many there were; top1, top5: shares of them that are found and named right; colour: share with the
    right colour of those that have one; number: share whose picture shows as many things as were found.
    """
    scenes = [scene for (scene, _), _ in zip(AllScenes(987_654), range(n), strict=False)]
    groups: dict[str, list[tuple[bool | None, ...]]] = {}
    for scene, found in zip(scenes, judge.look([draw(scene, sprites) for scene in scenes]), strict=True):
        for i, part in enumerate(scene.parts):
            name, colour = table()[part.thing].name, colour_label(scene, i)
            near = [t for t in found if abs(t.x - part.x) < 12 and abs(t.y - part.y) < 12]
            row = (
                any(t.name == name for t in near), any(name in t.names for t in near),
                None if colour == NONE else any(t.colour == COLOURS[colour] for t in near),
                len(found) == len(scene.parts),
            )  # fmt: skip
            common = scene.kind == "single" and part.style == "3d" and part.thing < COMMON
            for key in ("all", scene.kind, part.style, *(("common",) if common else ())):
                groups.setdefault(key, []).append(row)
    keys = ("top1", "top5", "colour", "number")
    return {
        group: {"things": len(rows)}
        | {key: share(column) for key, column in zip(keys, zip(*rows, strict=True), strict=True)}
        for group, rows in groups.items()
    }


def share(answers: Sequence[bool | None]) -> float | None:
    """Of those that have an answer, how many are true."""
    known = [answer for answer in answers if answer is not None]
    return round(fmean(known), 4) if known else None


def learn(
    judge: Judge, sprites: Sprites, steps: int, args: argparse.Namespace, device: torch.device
) -> tuple[Judge, int]:
    """Train for args.minutes -> the average of the weights, and the steps taken in all."""
    judge.train().to(device)
    random.seed(args.seed + steps)
    torch.manual_seed(args.seed + steps)
    renders = Renders(args.seed + steps, sprites)
    learned = [(name, p) for name, p in judge.named_parameters() if p.requires_grad]
    optimizers = Optimizers(learned, 2e-3 * args.lr, ("stem", "head", "colours"))
    average = Average(judge, 0.99)
    shown = saved = time.monotonic()

    def averaged() -> Judge:
        copy = Judge()
        copy.load_state_dict(judge.state_dict())  # the running statistics of the normalizations too
        average.copy_to(copy)
        return copy.eval()

    for step, rate in Budget(args.minutes, args.cooldown):
        pictures, scenes = renders.batch(args.batch)
        parts = losses(judge, augmented(pictures.to(device)), scenes)
        sum(parts).backward()
        optimizers.step(rate)
        average.update(judge)
        steps += 1
        if step % 25 == 24:
            took, shown = time.monotonic() - shown, time.monotonic()
            said = " ".join(f"{name}={part.item():.3f}" for name, part in zip(PARTS, parts, strict=True))
            print(f"{steps} {25 * args.batch / took:.0f}/s {said}", flush=True)
        if time.monotonic() - saved > 120:
            saved = time.monotonic()
            save_checkpoint("judge_learning", {"judge": averaged().state_dict(), "steps": steps})
    return averaged(), steps


def main() -> None:
    args = arguments(__doc__, minutes=20, batch=96).parse_args()
    device, sprites, judge, steps = device_and_threads(), Sprites(), Judge(), 0
    started = [state for state in (load_checkpoint("judge_learning"), load_checkpoint("judge")) if state]
    if started:  # the one that was stopped, where it is further on
        state = max(started, key=lambda state: state["steps"])
        judge.load_state_dict(state["judge"], strict=False)
        steps = state["steps"]
    if args.minutes:
        judge, steps = learn(judge, sprites, steps, args, device)
    judge.eval()
    print(f"the layer of looks is fitted, sharpness {fit(judge, sprites)}", flush=True)
    state = {"judge": judge.state_dict(), "steps": steps}
    save_checkpoint("judge", state)
    found = accuracy(judge, sprites)
    save_checkpoint("judge", state | {"accuracy": found})
    for group, values in found.items():
        print(f"{group:>10}", " ".join(f"{key}={value}" for key, value in values.items()), flush=True)


if __name__ == "__main__":
    main()
