"""What the U-Net is shown: scenes of the bank and collages of them, in the shares of stream.py, always worded anew."""

import random
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from ..latents import Bank
from ..scenes.captions import caption
from ..scenes.collage import CELLS, Collages, put_together
from ..scenes.scene import SIZE, Scene
from ..scenes.stream import KIND_SHARES
from ..scenes.things import COMMON
from ..text import token_ids

EMPTY_CAPTIONS = 0.1  # what classifier-free guidance needs (Ho & Salimans 2022, https://arxiv.org/abs/2207.12598)
COLLAGES = {"relation": 0.8, "coloured": 0.8, "count": 0.6, "several": 0.7}  # share of these kinds that are collages
GROW = 100  # batches between two looks for new shards


@dataclass(frozen=True)
class Shown:
    """One batch."""

    latents: Tensor  # (B, 4, 16, 16), scaled
    ids: Tensor  # (B, 32)
    scenes: list[Scene]
    captions: list[str]


def covered(scene: Scene) -> Tensor:
    """Which cells of the latent each part covers: -> (parts, 16, 16) bool"""
    centres = (torch.arange(CELLS) + 0.5) * SIZE / CELLS
    return torch.stack(
        [
            ((centres - part.y).abs()[:, None] < part.side / 2) & ((centres - part.x).abs()[None] < part.side / 2)
            for part in scene.parts
        ]
    )


def kind_of(scene: Scene) -> str:
    """The key of KIND_SHARES that a scene belongs to."""
    part = scene.parts[0]
    common = scene.kind == "single" and part.style == "3d" and part.thing < COMMON and not part.tone
    return "common" if common else scene.kind


class Diet:
    """Batches without end; new shards of the bank join as they appear."""

    def __init__(self, bank: Bank, tokenizer: CLIPTokenizer, seed: int, shares: dict[str, float] | None = None) -> None:
        self.bank, self.tokenizer, self.rng = bank, tokenizer, random.Random(seed)
        self.shares, self.calls = shares or KIND_SHARES, 0
        self.rows: dict[str, list[int]] = {kind: [] for kind in KIND_SHARES}
        self.left: dict[str, list[int]] = {kind: [] for kind in KIND_SHARES}  # of each kind, not shown in this round
        self.collages = Collages(self.rng)
        self.join(0)

    def join(self, first: int) -> None:
        """Take the scenes of the bank from this row on."""
        for row, scene in enumerate(self.bank.scenes[first:], first):
            self.rows[kind_of(scene)].append(row)
        self.collages.add(first, self.bank.scenes[first:])

    def one(self) -> tuple[Scene, Tensor]:
        """-> a scene and its latents (4, 16, 16)"""
        kind = self.rng.choices(list(self.shares), list(self.shares.values()))[0]
        if self.rng.random() < COLLAGES.get(kind, 0):
            made = self.collages.new(kind, lambda row: self.bank.scenes[row].background)
            if made:
                scene, sources = made
                return scene, put_together(sources, self.bank.latents, self.bank.plain[scene.background])
        if not self.left[kind]:  # every scene once before any a second time
            self.left[kind] = self.rng.sample(self.rows[kind], len(self.rows[kind]))
        row = self.left[kind].pop()
        return self.bank.scenes[row], self.bank.latents[row]

    def next(self, n: int) -> Shown:
        self.calls += 1
        if self.calls % GROW == 0 and (added := self.bank.grow()):
            self.join(len(self.bank.scenes) - added)
        scenes, latents = zip(*(self.one() for _ in range(n)), strict=True)
        captions = ["" if self.rng.random() < EMPTY_CAPTIONS else caption(self.rng, scene) for scene in scenes]
        return Shown(torch.stack(latents).float(), token_ids(self.tokenizer, captions), list(scenes), captions)
