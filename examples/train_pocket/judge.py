"""Train the judge: a small classifier that names the thing in a picture. It only ever sees real renders.

    python -m examples.train_pocket.judge --minutes 6      # training/judge.pt; prints its accuracy on unseen renders

It is used by `evaluate` alone and never in training the generator.
"""

import random
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from .colours import BACKGROUNDS
from .scenes import draw, random_scene
from .sprites import Sprites
from .things import things
from .train import Average, Budget, Optimizers, arguments, device_and_threads, load_checkpoint, save_checkpoint

SIDE = 64  # pixels per side that the judge looks at


class Judge(nn.Sequential):
    """pictures (B, 3, 64, 64) in [-1, 1] -> logits over the names of the common things"""

    def __init__(self, names: int) -> None:
        def block(before: int, after: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU(),
                nn.Conv2d(after, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(),
            )  # fmt: skip

        super().__init__(
            block(3, 32), block(32, 64), block(64, 128), block(128, 192), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Dropout(0.2), nn.Linear(4 * 192, names),
        )  # fmt: skip


def view(picture: Image.Image) -> torch.Tensor:
    """A picture -> what the judge sees, (3, 64, 64) in [-1, 1]"""
    small = np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    return torch.from_numpy(small).permute(2, 0, 1) / 127.5 - 1


def augmented(batch: torch.Tensor) -> torch.Tensor:
    """Blur, noise, contrast and colour changes, so that soft or pale pictures are judged by what they show."""
    n = len(batch)
    blurred = F.interpolate(F.avg_pool2d(batch, 2), scale_factor=2, mode="bilinear")
    amount = torch.rand(n, 1, 1, 1)
    batch = batch + amount * (blurred - batch)
    mean = batch.mean((2, 3), keepdim=True)
    batch = mean + (batch - mean) * (0.6 + 0.8 * torch.rand(n, 1, 1, 1)) + 0.15 * torch.randn(n, 3, 1, 1)
    return (batch + 0.1 * torch.rand(n, 1, 1, 1) * torch.randn_like(batch)).clamp(-1, 1)


def renders(rng: random.Random, sprites: Sprites, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """n random real renders of any thing on any background -> (n, 3, 64, 64), (n,)"""
    rows = [rng.randrange(len(things())) for _ in range(n)]
    pictures = [draw(random_scene(rng, r, rng.choice(list(BACKGROUNDS))), sprites) for r in rows]
    return torch.stack([view(Image.fromarray(p)) for p in pictures]), torch.tensor(rows)


def load_judge() -> Judge:
    """The trained judge, for looking only."""
    state = load_checkpoint("judge")
    if state is None:
        raise SystemExit("There is no training/judge.pt; run examples.train_pocket.judge first.")
    judge = Judge(len(things()))
    judge.load_state_dict(state["judge"])
    return judge.eval()


@torch.inference_mode()
def names_ranked(judge: Judge, pictures: list[Image.Image], top: int = 5) -> list[list[str]]:
    """For every picture the `top` likeliest names, best first."""
    names = [name for _, name in things()]
    logits = judge(torch.stack([view(p) for p in pictures]))
    return [[names[i] for i in row] for row in logits.topk(top).indices.tolist()]


def main() -> None:
    args = arguments(__doc__, minutes=6, batch=96).parse_args()
    device_and_threads()
    torch.manual_seed(args.seed)
    sprites, rng = Sprites(), random.Random(args.seed)
    judge = Judge(len(things()))
    if state := load_checkpoint("judge"):
        judge.load_state_dict(state["judge"])
    optimizers = Optimizers(list(judge.named_parameters()), 2e-3 * args.lr, outer=("0.0.0",))
    average = Average(judge, 0.99)
    shown = time.monotonic()
    for step, rate in Budget(args.minutes, args.cooldown):
        pictures, rows = renders(rng, sprites, args.batch)
        loss = F.cross_entropy(judge(augmented(pictures)), rows, label_smoothing=0.05)
        loss.backward()
        optimizers.step(rate)
        average.update(judge)
        if step % 50 == 49:
            took, shown = time.monotonic() - shown, time.monotonic()
            print(f"{step + 1} {50 * args.batch / took:.0f}/s loss={loss.item():.3f}", flush=True)
    average.copy_to(judge)
    judge.eval()
    with torch.inference_mode():
        pictures, rows = renders(random.Random("unseen scenes"), sprites, 1500)
        ranked = judge(pictures).topk(5).indices
    first = (ranked[:, 0] == rows).float().mean().item()
    fifth = (ranked == rows[:, None]).any(1).float().mean().item()
    save_checkpoint("judge", {"judge": judge.state_dict(), "top1": first})
    print(f"accuracy on 1,500 unseen real renders: top-1 {first:.1%}, top-5 {fifth:.1%}")


if __name__ == "__main__":
    main()
