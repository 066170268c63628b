"""The bank: scenes encoded once by the frozen autoencoder, in shards that the U-Net's training picks up as they appear.

    python -m examples.train_pocket.latents                  # 40,000 scenes into training/bank/000.pt, 001.pt …
    python -m examples.train_pocket.latents --scenes 100000  # more; goes on where an earlier call ended

Encoding is slower than drawing and almost as slow as training, so it is done once; captions are worded anew each time
a scene is used. The scenes come from streams with fixed seeds, so a call that was stopped goes on with the next shard;
the first eight shards show common things half of the time, the later ones more of what is composed. A shard knows the
autoencoder and the table it was made with; shards of others are made again.
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

from .captions import caption
from .scenes import Scene, as_dict, draw, from_dict
from .sprites import Sprites
from .stream import Scenes
from .things import HERE, WORK
from .train import device_and_threads
from .vae import trained_vae

FOLDER = WORK / "bank"
SHARD = 2000  # scenes
SEED = 0
FIRST = 8  # shards of one stream with the shares of stream.py; every later one has its own seed and these shares:
LATER_SHARES = {"common": 0.25, "single": 0.25, "recoloured": 0.14, "relation": 0.13, "count": 0.11, "coloured": 0.12}
BATCH = 32


def encoder_stamp(vae: AutoencoderKL) -> str:
    """What a shard depends on: the encoder's weights and the table of things."""
    weights = sum(p.double().sum().item() for part in (vae.encoder, vae.quant_conv) for p in part.parameters())
    return f"{weights:.6f}|{hashlib.sha256((HERE / 'things.tsv').read_bytes()).hexdigest()[:12]}"


def shard_path(k: int) -> Path:
    return FOLDER / f"{k:03d}.pt"


@torch.no_grad()
def encoded(vae: AutoencoderKL, scenes: list[Scene], sprites: Sprites, device: torch.device) -> torch.Tensor:
    """Scenes -> posterior means (N, 4, 16, 16) fp16, unscaled"""
    latents = []
    for first in range(0, len(scenes), BATCH):
        pictures = torch.stack([torch.from_numpy(draw(s, sprites)) for s in scenes[first : first + BATCH]])
        batch = pictures.permute(0, 3, 1, 2).to(device, torch.float32) / 127.5 - 1
        batch = batch.contiguous(memory_format=torch.channels_last)
        latents.append(vae.encode(batch).latent_dist.mode().cpu().contiguous())
    return torch.cat(latents).half()


def scaling_factor(latents: torch.Tensor) -> float:
    """1 / standard deviation of raw latents, what Stable Diffusion multiplies them by"""
    return round(1 / latents.float().std().item(), 5)


def build(vae: AutoencoderKL, scenes: int, device: torch.device, size: int = SHARD) -> None:
    """Draw and encode the first `scenes` scenes, shard by shard; shards that are there already stay."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    stamp, sprites, first = encoder_stamp(vae), Sprites(), iter(Scenes(SEED))
    for k in range((scenes + size - 1) // size):
        stream = first if k < FIRST else iter(Scenes(SEED + k, LATER_SHARES))
        chosen = [scene for scene, _ in itertools.islice(stream, size)]
        path, start = shard_path(k), time.monotonic()
        if path.exists() and torch.load(path, weights_only=True, mmap=True)["stamp"] == stamp:
            continue
        latents = encoded(vae, chosen, sprites, device)
        scale = scaling_factor(latents) if k == 0 else torch.load(shard_path(0), weights_only=True)["scaling_factor"]
        shard = {"stamp": stamp, "scaling_factor": scale, "latents": latents}
        torch.save(shard | {"scenes": json.dumps([as_dict(s) for s in chosen])}, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
        print(f"shard {k}: {size / (time.monotonic() - start):.0f}/s, scaling factor {scale}", flush=True)


class Bank:
    """The shards of one autoencoder, as far as they are there; `grow` picks up those that came since."""

    def __init__(self, vae: AutoencoderKL) -> None:
        self.stamp, self.shards, self.scenes, self.scaling_factor = encoder_stamp(vae), 0, [], 1.0
        self.latents = torch.empty(0, 4, 16, 16, dtype=torch.half)  # scaled to unit variance
        self.grow()
        if not self.scenes:
            raise SystemExit(f"No shard in {FOLDER} is of this autoencoder; run examples.train_pocket.latents first.")

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
