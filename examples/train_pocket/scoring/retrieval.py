"""How often the contrastive towers find the right caption of a real scene that they never saw.

Each picture comes with 100 captions: its own, up to 50 near misses of it (near_misses.py: one thing changed), and true
captions of other scenes. The pictures are drawn with a seed of their own, as many of each kind of scene.
"""

import itertools
import random

import torch
from PIL import Image

from playground.measure.adherence import Adherence

from ..scenes.captions import caption
from ..scenes.near_misses import WEIGHTS, meaning, true_and_nearly
from ..scenes.scene import Scene, draw
from ..scenes.sprites import Sprites
from ..scenes.stream import Scenes

SEED = 987_654  # no other script draws scenes with it
CAPTIONS = 100
NEAR = 50
WORDINGS = 6  # of the near misses of one picture


def unseen_scenes(n: int) -> list[Scene]:
    """n scenes, as many of each kind; the same on every call."""
    kinds, chosen = list(WEIGHTS), []
    for i, kind in enumerate(kinds):
        stream = iter(Scenes(SEED + i, {kind: 1.0}))
        chosen += [scene for scene, _ in itertools.islice(stream, n // len(kinds))]
    return chosen


def near_misses(rng: random.Random, scene: Scene) -> tuple[str, list[tuple[str, str]]]:
    """A true caption, and 50 of (change, near miss) in several wordings, or fewer where there are not so many."""
    true, found = caption(rng, scene), {}
    for _ in range(WORDINGS):
        _, wrong = true_and_nearly(rng, scene, NEAR // WORDINGS + 1)
        found |= {text: change for change, text in wrong}
    found.pop(true, None)  # where only the other wording was wrong about what this one leaves unsaid
    return true, [(change, text) for text, change in found.items()][:NEAR]


def measured(towers: Adherence, n: int = 250) -> dict:
    """Shares in [0, 1]: the right caption first of 100, in all and by kind of scene; and, for each kind of change, how
    often the true caption scores higher than the near miss."""
    rng, sprites, scenes = random.Random(SEED), Sprites(), unseen_scenes(n)
    pictures = towers.image_features([Image.fromarray(draw(scene, sprites)) for scene in scenes])
    worded = [near_misses(rng, scene) for scene in scenes]
    captions = towers.text_features([true for true, _ in worded])
    firsts, ranks, beaten = [], [], {}
    for i, (scene, picture, (_, near)) in enumerate(zip(scenes, pictures, worded, strict=True)):
        others = [j for j, other in enumerate(scenes) if meaning(other) != meaning(scene)]
        far = captions[rng.sample(others, CAPTIONS - 1 - len(near))]
        wrong = torch.cat([towers.text_features([text for _, text in near]), far])
        better = captions[i] @ picture > wrong @ picture
        ranks.append(CAPTIONS - int(better.sum()))
        firsts.append(ranks[-1] == 1)
        for (change, _), won in zip(near, better.tolist(), strict=False):
            beaten.setdefault(change, []).append(won)

    def share(values: list[bool]) -> float:
        return round(sum(values) / len(values), 4)

    kinds = {kind: [first for first, s in zip(firsts, scenes, strict=True) if s.kind == kind] for kind in WEIGHTS}
    return {
        "pictures": len(scenes),
        "captions": CAPTIONS,
        "near_misses": NEAR,
        "top1": share(firsts),
        "top5": share([rank <= 5 for rank in ranks]),
        "median_rank": float(torch.tensor(ranks, dtype=torch.float32).median()),
        "top1_by_kind": {kind: share(values) for kind, values in kinds.items()},
        "true_above_near_miss": {change: share(values) for change, values in sorted(beaten.items())},
    }
