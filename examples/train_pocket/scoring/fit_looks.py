"""The judge's last layer, fitted in closed form: what every thing looks like in every style and hue.

A few thousand looks are too many to learn one by one in minutes. The Namer's features, learned on the names, tell them
apart already: each look's mean feature, and one covariance for all (Fisher's linear discriminant), give the layer.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..scenes.colours import BACKGROUNDS
from ..scenes.scene import Scene, draw, random_scene
from ..scenes.sprites import Sprites
from ..scenes.things import table
from .detector import Judge, Look, as_batch, cut_out, looks
from .distort import augmented, jittered

PLAIN, HUED = 4, 3  # renders of each look in its own colours, and turned to another hue
VIEWS = 3  # differently distorted, of each render: they cost less than rendering
SHRINKAGE = 0.1  # of the covariance towards a multiple of the unit matrix
SMALL = (46, 58)  # sides of things that are not alone, pixels
# factors tried on the layer, so that its probabilities mean something
SHARPNESS = (0.02, 0.035, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.45, 0.7, 1.0)
BATCH = 96


def shown(rng: random.Random, look: Look) -> Scene:
    """One thing with this look, as large as single things are or as small as one of several."""
    colours = [colour for colour in BACKGROUNDS if colour != (look.hue or table()[look.thing].colours.get(look.style))]
    scene = random_scene(rng, look.thing, rng.choice(colours), look.style, look.hue)
    if rng.random() < 0.5:
        return scene
    side, (x, y) = rng.randint(*SMALL), (rng.randint(33, 95) for _ in range(2))
    return replace(scene, parts=(replace(scene.parts[0], side=side, x=x, y=y),))


@torch.inference_mode()
def features(judge: Judge, scenes: Sequence[Scene], sprites: Sprites) -> Tensor:
    """N scenes of one thing each -> (3 N, 768), the views of each together.

    They are seen as they are in training: distorted, and cut out a little beside.
    """
    found = []
    for first in range(0, len(scenes), BATCH):
        batch = scenes[first : first + BATCH]
        parts = [scene.parts[0] for scene in batch]
        boxes = torch.tensor([[part.x, part.y, part.side] for part in parts]).float()
        pictures, rows = as_batch([draw(scene, sprites) for scene in batch]), torch.arange(len(batch))
        views = [cut_out(augmented(pictures), rows, *jittered(boxes)) for _ in range(VIEWS)]
        seen = torch.stack([judge.namer.features(view).flatten(1) for view in views], 1)
        found.append(seen.flatten(0, 1))
    return torch.cat(found)


def discriminant(rows: np.ndarray, labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, D) and their classes (N,) -> weights (K, D) and biases (K,) of Fisher's linear discriminant.

    For equal priors and one covariance C: wₖ = C⁻¹μₖ, bₖ = −½ μₖᵀC⁻¹μₖ.
    """
    count = np.bincount(labels, minlength=classes)
    means = np.zeros((classes, rows.shape[1]))
    np.add.at(means, labels, rows)
    means /= count[:, None]
    residuals = rows - means[labels].astype(rows.dtype)
    covariance = residuals.T @ residuals / max(len(rows) - classes, 1)
    even = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    weights = np.linalg.solve((1 - SHRINKAGE) * covariance + SHRINKAGE * even, means.T).T
    return weights, -0.5 * (means * weights).sum(1)


def fit(judge: Judge, sprites: Sprites, seed: int = 0) -> float:
    """Fit the layer of a trained judge on the CPU; -> the factor that made unseen renders' names likeliest."""
    rng, known = random.Random(seed), looks()
    drawn = [i for i, look in enumerate(known) for _ in range(HUED if look.hue else PLAIN)]
    rows = features(judge, [shown(rng, known[i]) for i in drawn], sprites)
    weights, biases = discriminant(rows.numpy(), np.repeat(drawn, VIEWS), len(known))
    layer = judge.namer.looks
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights))
        layer.bias.copy_(torch.from_numpy(biases))
    chosen = rng.choices(known, k=600)
    logits = layer(features(judge, [shown(rng, look) for look in chosen], sprites)).detach()
    names = torch.tensor([look.thing for look in chosen]).repeat_interleave(VIEWS)
    losses = {s: F.nll_loss(judge.namer.by_name(s * logits).clamp_min(1e-9).log(), names).item() for s in SHARPNESS}
    best = min(losses, key=losses.get)
    with torch.no_grad():
        layer.weight.mul_(best)
        layer.bias.mul_(best)
    return best
