"""Words bound to places: a small loss on where the attention to each noun lies (TokenCompose, Wang et al. 2023,
https://arxiv.org/abs/2312.03626).

We drew the scenes, so we know which cells belong to which word: of all the attention that a noun's tokens get in a
picture, the share that its own cells give should be one. Recorded by attention processors, which change no weight.
"""

import re

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPTokenizer

from ..scenes.collage import CELLS
from ..scenes.scene import Scene
from ..scenes.things import table
from ..text import LENGTH
from .diet import covered


def spans(scene: Scene, caption: str) -> list[tuple[int, int]]:
    """Where in a caption each part's name stands, with its hue: (first character, end), (0, 0) where it is unsaid.

    Copies of one thing share their plural.
    """
    found, free = {}, caption.lower()
    names = []
    for i, part in enumerate(scene.parts):
        thing = table()[part.thing]
        said = (f"{part.hue} {thing.noun}",) if part.hue else (thing.name, *thing.synonyms)
        names += [(name, i) for name in ((thing.plural,) if scene.kind == "count" else said)]
    for name, i in sorted(names, key=lambda pair: -len(pair[0])):  # "black cat" before "cat"
        match = re.search(rf"(?<![\w-]){re.escape(name.lower())}(?![\w-])", free) if i not in found else None
        if match:
            found[i] = match.span()
            if scene.kind == "count":
                return [match.span()] * len(scene.parts)
            free = free[: match.start()] + "\0" * len(name) + free[match.end() :]
    return [found.get(i, (0, 0)) for i in range(len(scene.parts))]


def labels(scenes: list[Scene], captions: list[str], tokenizer: CLIPTokenizer) -> tuple[Tensor, Tensor, Tensor]:
    """-> rows of the batch (M,), tokens (M,), their cells (M, 16, 16) in 0…1; of scenes with more than one part"""
    offsets = tokenizer(captions, return_offsets_mapping=True, truncation=True, max_length=LENGTH).offset_mapping
    rows, tokens, cells = [], [], []
    for row, (scene, caption) in enumerate(zip(scenes, captions, strict=True)):
        if len(scene.parts) < 2 or not caption:
            continue
        masks = covered(scene).float()
        if scene.kind == "count":
            masks = masks.amax(0, keepdim=True)
        for mask, (start, end) in zip(masks, spans(scene, caption), strict=False):
            for token, (a, b) in enumerate(offsets[row]):
                if start <= a < b <= end:
                    rows.append(row)
                    tokens.append(token)
                    cells.append(mask)
    stacked = torch.stack(cells) if cells else torch.empty(0, CELLS, CELLS)
    return torch.tensor(rows, dtype=torch.long), torch.tensor(tokens, dtype=torch.long), stacked


def misplaced(seen: list[Tensor], rows: Tensor, tokens: Tensor, cells: Tensor) -> Tensor:
    """Attention of every layer (B, N, 32), and what `labels` gives -> mean over layers and tokens of (1 - share)²

    0 where no layer was recorded or nothing is labelled.
    """
    losses = []
    for shares in seen:
        side = round(shares.shape[1] ** 0.5)
        own = F.adaptive_avg_pool2d(cells[:, None], side).flatten(1)  # (M, N)
        given = shares[rows, :, tokens].float()  # (M, N)
        losses.append((1 - (given * own).sum(1) / given.sum(1).clamp(min=1e-6)).square().mean())
    return torch.stack(losses).mean() if losses and len(rows) else cells.new_zeros(())
