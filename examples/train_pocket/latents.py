"""The bank: scenes encoded once by the frozen autoencoder, in shards that the U-Net's training picks up as they appear.

    python -m examples.train_pocket.latents                  # 40,000 scenes into training/bank/000.pt, 001.pt …
    python -m examples.train_pocket.latents --scenes 100000  # more; goes on where an earlier call ended

Encoding costs more than drawing, so it is done once; captions are worded anew each time a scene is used, and `collage`
makes new scenes from the halves and quadrants of these. Every shard has a stream of its own with a fixed seed, so that
a call that was stopped goes on with the next one. A shard knows the autoencoder, the table and the shares that it was
made with; others are made again.
"""

import argparse
import hashlib
import itertools
import json
import random
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from .learning.train import device_and_threads, has_bf16
from .scenes.captions import caption
from .scenes.colours import BACKGROUNDS
from .scenes.scene import Scene, as_dict, draw, from_dict
from .scenes.sprites import Sprites
from .scenes.stream import Scenes
from .scenes.things import HERE, WORK
from .text import POCKET
from .vae import trained_vae

FOLDER = WORK / "bank"
SHARD = 2000  # scenes
SEED = 0
# More than training shows of what gives parts for collages, and of single things, which are only shown as they are.
BANK_SHARES = {
    "common": 0.1, "single": 0.42, "recoloured": 0.12, "relation": 0.11, "count": 0.06, "coloured": 0.09, "several": 0.1
}  # fmt: skip
BATCH = 32


def encoder_stamp(vae: AutoencoderKL) -> str:
    """What a shard depends on: the encoder's weights, the table of things and the shares of the kinds."""
    weights = sum(p.double().sum().item() for part in (vae.encoder, vae.quant_conv) for p in part.parameters())
    said = (HERE / "things.tsv").read_bytes() + json.dumps(BANK_SHARES).encode()
    return f"{weights:.6f}|{hashlib.sha256(said).hexdigest()[:12]}"


def shard_path(k: int) -> Path:
    return FOLDER / f"{k:03d}.pt"


@torch.no_grad()
def encoded(vae: AutoencoderKL, scenes: list[Scene], sprites: Sprites | None, device: torch.device) -> torch.Tensor:
    """Scenes -> posterior means (N, 4, 16, 16) fp16, unscaled

    In bf16: twice as fast on a CPU that has it, and decoded pictures lose less than 0.001 dB.
    """
    latents = []
    for first in range(0, len(scenes), BATCH):
        pictures = torch.stack([torch.from_numpy(draw(s, sprites)) for s in scenes[first : first + BATCH]])
        batch = pictures.permute(0, 3, 1, 2).to(device, torch.float32) / 127.5 - 1
        batch = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device)):
            mean = vae.encode(batch).latent_dist.mode()
        latents.append(mean.float().cpu().contiguous())
    return torch.cat(latents).half()


def scaling_factor(vae: AutoencoderKL, latents: torch.Tensor) -> float:
    """What Stable Diffusion multiplies raw latents by, 1 / their standard deviation.

    The shipped autoencoder keeps the factor that it has: the shipped U-Net was trained with it.
    """
    shipped = AutoencoderKL.from_pretrained(POCKET / "vae") if (POCKET / "vae").exists() else None
    if shipped and encoder_stamp(shipped) == encoder_stamp(vae):
        return shipped.config.scaling_factor
    return round(1 / latents.float().std().item(), 5)


def build(vae: AutoencoderKL, scenes: int, device: torch.device, size: int = SHARD) -> None:
    """Draw and encode the first `scenes` scenes, shard by shard; shards that are there already stay."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    stamp, sprites = encoder_stamp(vae), Sprites()
    for k in range((scenes + size - 1) // size):
        chosen = [scene for scene, _ in itertools.islice(Scenes(SEED + k, BANK_SHARES), size)]
        path, start = shard_path(k), time.monotonic()
        if path.exists() and torch.load(path, weights_only=True, mmap=True)["stamp"] == stamp:
            continue
        latents = encoded(vae, chosen, sprites, device)
        known = torch.load(shard_path(0), weights_only=True)["scaling_factor"] if k else None
        scale = known or scaling_factor(vae, latents)
        shard = {"stamp": stamp, "scaling_factor": scale, "latents": latents}
        torch.save(shard | {"scenes": json.dumps([as_dict(s) for s in chosen])}, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
        print(f"shard {k}: {size / (time.monotonic() - start):.0f}/s, scaling factor {scale}", flush=True)


def plain_backgrounds(vae: AutoencoderKL, scale: float) -> dict[str, torch.Tensor]:
    """-> for every background the scaled latents (4, 16, 16) fp16 of a picture without a thing"""
    empty = [Scene("plain", name, ()) for name in BACKGROUNDS]
    means = encoded(vae, empty, None, next(vae.parameters()).device)
    return dict(zip(BACKGROUNDS, (means.float() * scale).half(), strict=True))


class Bank:
    """The shards of one autoencoder, as far as they are there; `grow` picks up those that came since."""

    def __init__(self, vae: AutoencoderKL) -> None:
        self.stamp, self.shards, self.scenes, self.scaling_factor = encoder_stamp(vae), 0, [], 1.0
        self.latents = torch.empty(0, 4, 16, 16, dtype=torch.half)  # scaled to unit variance
        self.grow()
        if not self.scenes:
            raise SystemExit(f"No shard in {FOLDER} is of this autoencoder; run examples.train_pocket.latents first.")
        self.plain = plain_backgrounds(vae, self.scaling_factor)

    def grow(self) -> int:
        """-> how many scenes were added"""
        before = len(self.scenes)
        while shard_path(self.shards).exists():
            shard = torch.load(shard_path(self.shards), weights_only=True)
            if shard["stamp"] != self.stamp:
                break
            self.scaling_factor = shard["scaling_factor"]
            scaled = (shard["latents"].float() * self.scaling_factor).half()
            self.latents = torch.cat([self.latents, scaled.to(self.latents.device)])
            self.scenes += [from_dict(values) for values in json.loads(shard["scenes"])]
            self.shards += 1
        return len(self.scenes) - before

    def caption(self, rng: random.Random, i: int) -> str:
        return caption(rng, self.scenes[i])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=40_000)
    args = parser.parse_args()
    device = device_and_threads()
    build(trained_vae(device), args.scenes, device)


if __name__ == "__main__":
    main()
