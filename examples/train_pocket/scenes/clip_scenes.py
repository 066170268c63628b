"""Pictures for the contrastive towers: scenes drawn once, and kept as bytes in training/pictures.

They have other seeds than the bank's scenes and than those that `retrieval` measures with.
"""

import hashlib
import itertools
import json
import time
from pathlib import Path

import numpy as np

from ..latents import BANK_SHARES
from .scene import SIZE, as_dict, draw, from_dict
from .sprites import Sprites
from .stream import Scenes
from .things import HERE, WORK

FOLDER = WORK / "pictures"
SHARD = 2000  # scenes
SEED = 50_000  # of the first shard's stream


def folder() -> Path:
    """One folder for each table of things, since scenes name things by their row."""
    return FOLDER / hashlib.sha256((HERE / "things.tsv").read_bytes()).hexdigest()[:12]


def draw_shard(k: int, sprites: Sprites) -> None:
    """Draw the k-th shard, unless it is there: pictures first, scenes last, which says that it is complete."""
    listed = folder() / f"{k:03d}.json"
    if listed.exists():
        return
    folder().mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    scenes = [scene for scene, _ in itertools.islice(iter(Scenes(SEED + k, BANK_SHARES)), SHARD)]
    np.save(folder() / f"{k:03d}.npy", np.stack([draw(scene, sprites) for scene in scenes]))
    listed.write_text(json.dumps([as_dict(scene) for scene in scenes]))
    print(f"shard {k}: {SHARD / (time.monotonic() - start):.0f}/s", flush=True)


class Pictures:
    """At least the first `n` scenes of the shards, drawn now where they are not there yet."""

    def __init__(self, n: int) -> None:
        sprites, self.scenes, self.shards = Sprites(), [], []
        for k in range((n + SHARD - 1) // SHARD):
            draw_shard(k, sprites)
            # (2000, 128, 128, 3) uint8, read from disk as it is needed
            self.shards.append(np.load(folder() / f"{k:03d}.npy", mmap_mode="r"))
            self.scenes += [from_dict(values) for values in json.loads((folder() / f"{k:03d}.json").read_text())]

    def of(self, rows: list[int]) -> np.ndarray:
        """-> (N, 128, 128, 3) uint8"""
        pictures = np.empty((len(rows), SIZE, SIZE, 3), np.uint8)
        for i, row in enumerate(rows):
            pictures[i] = self.shards[row // SHARD][row % SHARD]
        return pictures
