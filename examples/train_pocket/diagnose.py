"""Where does the picture go wrong? Two questions asked before a long run.

    python -m examples.train_pocket.diagnose ceiling  # real renders through the autoencoder and back, judged
    python -m examples.train_pocket.diagnose sides    # position pictures that show one of the two: on which side is it?

`ceiling`: what the autoencoder loses, no training of the U-Net can win. `sides`: about a half says that words are not
bound to places, about four fifths that only the other thing is missing. Both need training/judge.pt; `sides` draws with
the averaged weights of training/unet.pt, or else the shipped ones. What was found is in README.md.
"""

import argparse
import random
from collections.abc import Sequence

import torch
from PIL import Image

from .judge import load_judge
from .learning.train import device_and_threads
from .quick import drawn, pipeline
from .scenes.scene import SIZE, draw
from .scenes.sprites import Sprites
from .scenes.things import table
from .scoring.detector import Found, as_batch
from .scoring.pocket_eval import TASKS, Asked, prompts, scene_of, score, summary
from .vae import trained_vae


@torch.inference_mode()
def ceiling(n: int) -> None:
    """For every task the share of real renders that are right, before and after the autoencoder."""
    judge, sprites, vae = load_judge(), Sprites(), trained_vae(torch.device("cpu"))
    for task in TASKS:
        asked = prompts(task, n)
        real = [Image.fromarray(draw(scene_of(a, random.Random(a.prompt)), sprites)) for a in asked]
        back = []
        for batch in as_batch(real).split(16):
            decoded = vae.decode(vae.encode(batch).latent_dist.mode()).sample.clamp(-1, 1)
            pixels = ((decoded + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)
            back += [Image.fromarray(picture) for picture in pixels.numpy()]
        before, after = (
            summary([[score(a, found)] for a, found in zip(asked, judge.look(shown), strict=True)])
            for shown in (real, back)
        )
        print(f"{task:>12} real {before['right']:.2f} through the autoencoder {after['right']:.2f}", flush=True)


def on_its_side(asked: Asked, found: Sequence[Found]) -> bool | None:
    """Of a picture that shows exactly one of the two things: is it where it was asked for? None for other pictures."""
    shown = [[t for t in found if t.name == table()[row].name] for row in asked.things]
    if sum(map(bool, shown)) != 1:
        return None
    first = bool(shown[0])
    thing = (shown[0] or shown[1])[0]
    offset = thing.x - SIZE / 2 if asked.relation in ("left", "right") else thing.y - SIZE / 2
    return (offset < 0) == ((asked.relation in ("left", "above")) == first)


def sides(n: int, seeds: int, steps: int) -> None:
    judge, pipe, asked = load_judge(), pipeline(device_and_threads()), prompts("position", n)
    found = [
        on_its_side(a, things)
        for seed in range(seeds)
        for a, things in zip(asked, judge.look(drawn(pipe, [a.prompt for a in asked], steps, 1000 * seed)), strict=True)
    ]
    known = [answer for answer in found if answer is not None]
    share = sum(known) / max(1, len(known))
    print(f"of {len(found)} pictures {len(known)} show exactly one of the two; on its side {share:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=("ceiling", "sides"))
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=12)
    args = parser.parse_args()
    if args.question == "ceiling":
        ceiling(args.prompts)
    else:
        sides(args.prompts, args.seeds, args.steps)


if __name__ == "__main__":
    main()
