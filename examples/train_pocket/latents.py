"""The pictures the U-Net learns from, encoded once by the frozen autoencoder and kept in memory.

A bank holds a few random scenes of every allowed (thing, background) pair as latents, so that a training step draws
from it instead of encoding again. Names, backgrounds and mirrors stay with them: captions are worded anew each time.
"""

import random
import time
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL

from .data import WORK, Sprites, caption, draw, random_scene, things, training_pairs


@dataclass
class Bank:
    latents: torch.Tensor  # (N, 4, 16, 16) fp16, scaled to unit variance
    things: torch.Tensor  # (N,) rows of things.tsv
    backgrounds: list[str]  # N keys of BACKGROUNDS
    scaling_factor: float  # 1 / standard deviation of the raw latents

    def caption(self, rng: random.Random, i: int) -> str:
        return caption(rng, NAMES[self.things[i]], self.backgrounds[i])


NAMES = [name for _, name in things()]


@torch.no_grad()
def encode_bank(vae: AutoencoderKL, scenes_per_pair: int, device: torch.device, seed: int = 0) -> Bank:
    """Draw and encode `scenes_per_pair` scenes of every pair; cached in training/latents.pt until the VAE changes."""
    stamp = f"{sum(p.double().sum().item() for p in vae.encoder.parameters()):.6f}|{scenes_per_pair}|{seed}"
    path = WORK / "latents.pt"
    if path.exists() and (stored := torch.load(path, weights_only=True))["stamp"] == stamp:
        del stored["stamp"]
        return Bank(**stored)
    rng, sprites, start = random.Random(seed), Sprites(), time.monotonic()
    wanted = training_pairs() * scenes_per_pair
    latents = []
    for first in range(0, len(wanted), 32):
        pictures = [
            torch.from_numpy(draw(random_scene(rng, t, c), sprites.of(t))) for t, c in wanted[first : first + 32]
        ]
        batch = torch.stack(pictures).permute(0, 3, 1, 2).to(device, torch.float32) / 127.5 - 1
        batch = batch.contiguous(memory_format=torch.channels_last)
        latents.append(vae.encode(batch).latent_dist.mode().cpu().contiguous())
        if first // 32 % 100 == 99:
            print(
                f"encoded {first + 32} of {len(wanted)}, {(first + 32) / (time.monotonic() - start):.0f}/s", flush=True
            )
    raw = torch.cat(latents)
    scaling_factor = round(1 / raw.std().item(), 5)
    bank = Bank(
        (raw * scaling_factor).half(), torch.tensor([t for t, _ in wanted]), [c for _, c in wanted], scaling_factor
    )
    torch.save({"stamp": stamp, **bank.__dict__}, path)
    return bank
