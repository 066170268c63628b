"""The judge's eyes: where the things in a picture are, what each is called and which colour it has.

Two small networks. The Finder looks at the whole picture at 64 x 64 and marks the centre and the size of every thing,
as CenterNet does (Zhou et al. 2019, https://arxiv.org/abs/1904.07850); the Namer looks at each thing found, cut out to
64 x 64, and names it among all 1,317 things and eleven colours. `judge.py` trains them on real renders only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ..scenes.colours import NAMES as COLOURS
from ..scenes.scene import SIZE
from ..scenes.things import COMMON, table

VIEW = 64  # pixels per side that either network looks at
GRID = 16  # cells per side of the Finder's answer
CELL = SIZE // GRID  # pixels per side of a cell
FOUND = 0.5  # probability from which a cell counts as the centre of a thing
MARGIN = 1.15  # a cutout is this much wider than the thing
TOP = 5  # names kept of every thing
FEATURES = 192  # numbers that the Namer sees in a picture before it names it
BATCH = 64


@dataclass(frozen=True)
class Found:
    """One thing in a picture, as the judge sees it."""

    names: tuple[str, ...]  # the likeliest names, best first
    confidences: tuple[float, ...]  # their probabilities
    colour: str  # the likeliest of the eleven named colours
    x: float  # centre, pixels
    y: float
    side: float  # longest side, pixels

    @property
    def name(self) -> str:
        return self.names[0]

    def confidence(self, name: str) -> float:
        """The probability of this name; 0 where it is not among those kept."""
        return dict(zip(self.names, self.confidences, strict=True)).get(name, 0.0)


@dataclass(frozen=True)
class Look:
    """One way a thing may look."""

    thing: int  # row of things.tsv
    style: str
    hue: str | None = None  # None: its own colours


@cache
def looks() -> tuple[Look, ...]:
    """Every thing in every style it has, and the common ones in 3D in every hue they may be turned to."""
    plain = [Look(i, style) for i, thing in enumerate(table()) for style in thing.styles]
    turned = [
        Look(i, "3d", hue)
        for i, thing in enumerate(table()[:COMMON])
        for hue in thing.hues("3d")
        if hue != thing.colours.get("3d")
    ]
    return (*plain, *turned)


def conv(before: int, after: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )  # fmt: skip


class Finder(nn.Module):
    """pictures (B, 3, 64, 64) in [-1, 1] -> (B, 4, 16, 16): centre logit, offset right and down in cells, log side

    The side is in units of the picture's; the offsets are from the middle of the cell.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 32, stride=4, size=7)  # 16
        self.fine = conv(32, 32)
        self.middle = nn.Sequential(conv(32, 64, 2), conv(64, 64))  # 8
        self.wide = nn.Sequential(conv(64, 96, 2), conv(96, 96), conv(96, 64))  # 4
        self.joined = conv(64, 32)  # 8
        self.head = nn.Sequential(conv(32, 32), nn.Conv2d(32, 4, 1))  # 16

    def forward(self, pictures: Tensor) -> Tensor:
        fine = self.fine(self.stem(pictures))
        middle = self.middle(fine)
        middle = self.joined(middle + F.interpolate(self.wide(middle), scale_factor=2.0))
        return self.head(fine + F.interpolate(middle, scale_factor=2.0))


class Namer(nn.Module):
    """cutouts (B, 3, 64, 64) in [-1, 1] -> logits over all names (B, 1317) and over the eleven colours (B, 11)

    Strides come early, so that a thousand names are learned in minutes on one core. Those logits are for learning; what
    the judge says comes from `looks`, a layer fitted to the learned features (looks.py).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 48, stride=4, size=7)  # 16
        self.body = nn.Sequential(
            conv(48, 48), conv(48, 96, 2), conv(96, 96), conv(96, FEATURES, 2), conv(FEATURES, FEATURES),
            nn.AdaptiveAvgPool2d(2),
        )  # fmt: skip
        self.dropout = nn.Dropout(0.1)
        self.names = nn.Linear(4 * FEATURES, len(table()))
        self.colours = nn.Linear(4 * FEATURES, len(COLOURS))
        self.looks = nn.Linear(4 * FEATURES, len(looks())).requires_grad_(False)

    def features(self, cutouts: Tensor) -> Tensor:
        """cutouts (B, 3, 64, 64) -> (B, 192, 2, 2)"""
        return self.body(self.stem(cutouts))

    def forward(self, cutouts: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.dropout(self.features(cutouts).flatten(1))
        return self.names(seen), self.colours(seen)

    def named(self, cutouts: Tensor) -> tuple[Tensor, Tensor]:
        """cutouts (B, 3, 64, 64) -> probabilities of the names (B, 1317) and of the colours (B, 11)"""
        seen = self.features(cutouts).flatten(1)
        return self.by_name(self.looks(seen)), self.colours(seen).softmax(1)

    def by_name(self, logits: Tensor) -> Tensor:
        """Logits of the looks (B, K) -> probabilities of the names (B, 1317), each the sum over its looks."""
        owners = torch.tensor([look.thing for look in looks()], device=logits.device)
        return torch.zeros(len(logits), len(table()), device=logits.device).index_add_(1, owners, logits.softmax(1))


def as_batch(pictures: Sequence[Image.Image | np.ndarray]) -> Tensor:
    """RGB pictures of 128 x 128 -> (B, 3, 128, 128) in [-1, 1]"""
    stacked = np.stack([np.asarray(p.convert("RGB") if isinstance(p, Image.Image) else p) for p in pictures])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 127.5 - 1


def cut_out(pictures: Tensor, rows: Tensor, boxes: Tensor, turn: Tensor | None = None) -> Tensor:
    """Squares around things, scaled to what the Namer looks at: (N, 3, 128, 128) -> (B, 3, 64, 64).

    rows (B,): which picture; boxes (B, 3): centre x, y and side in pixels; turn (B, 2, 2): how to distort, or none.
    Large squares are taken from the halved pictures, so that no detail aliases.
    """
    turn = torch.eye(2, device=pictures.device).expand(len(rows), 2, 2) if turn is None else turn
    half = boxes[:, 2:] * MARGIN / SIZE  # half the square's width, where the picture reaches from -1 to 1
    centre = (boxes[:, :2] * 2 / SIZE - 1)[..., None]
    affine = torch.cat([turn * half[..., None], centre], 2)
    grid = F.affine_grid(affine, [len(rows), 3, VIEW, VIEW], align_corners=False)
    cutouts = torch.empty(len(rows), 3, VIEW, VIEW, device=pictures.device)
    large = boxes[:, 2] * MARGIN > 1.4 * VIEW
    for chosen, source in ((large, F.avg_pool2d(pictures, 2)), (~large, pictures)):
        if chosen.any():
            cutouts[chosen] = F.grid_sample(
                source[rows[chosen]], grid[chosen], padding_mode="border", align_corners=False
            )  # fmt: skip
    return cutouts


def peaks(answer: Tensor, threshold: float = FOUND) -> tuple[Tensor, Tensor]:
    """The Finder's answer (B, 4, 16, 16) -> which picture (N,), and the boxes (N, 3): x, y, side in pixels.

    A cell counts if no neighbour is likelier and it is likelier than `threshold`.
    """
    chance = answer[:, 0].sigmoid()
    highest = F.max_pool2d(chance[:, None], 3, stride=1, padding=1)[:, 0]
    row, down, right = ((chance == highest) & (chance > threshold)).nonzero(as_tuple=True)
    offset_x, offset_y, log_side = answer[row, 1:, down, right].unbind(1)
    x, y = (right + 0.5 + offset_x) * CELL, (down + 0.5 + offset_y) * CELL
    return row, torch.stack([x, y, log_side.clamp(-3, 0.3).exp() * SIZE], 1)


class Judge(nn.Module):
    """Finder and Namer together."""

    def __init__(self) -> None:
        super().__init__()
        self.finder, self.namer = Finder(), Namer()

    @torch.inference_mode()
    def look(self, pictures: Sequence[Image.Image | np.ndarray]) -> list[list[Found]]:
        """For every picture the things in it, the largest first."""
        found: list[list[Found]] = []
        for first in range(0, len(pictures), BATCH):
            found += self._look(as_batch(pictures[first : first + BATCH]))
        return found

    def _look(self, batch: Tensor) -> list[list[Found]]:
        found: list[list[Found]] = [[] for _ in range(len(batch))]
        rows, boxes = peaks(self.finder(F.avg_pool2d(batch, 2)))
        if not len(rows):
            return found
        names, colours = self.namer.named(cut_out(batch, rows, boxes))
        chances, likeliest = names.topk(TOP, 1)
        for i, row in enumerate(rows.tolist()):
            found[row].append(
                Found(
                    tuple(table()[j].name for j in likeliest[i].tolist()), tuple(chances[i].tolist()),
                    COLOURS[int(colours[i].argmax())], *boxes[i].tolist(),
                )
            )  # fmt: skip
        return [sorted(things, key=lambda thing: -thing.side) for things in found]

    @torch.inference_mode()
    def features(self, pictures: Sequence[Image.Image | np.ndarray]) -> np.ndarray:
        """Whole pictures -> (N, 192): what the Namer sees in each, averaged over the picture."""
        seen = []
        for first in range(0, len(pictures), BATCH):
            views = F.avg_pool2d(as_batch(pictures[first : first + BATCH]), 2)
            seen.append(self.namer.features(views).mean((2, 3)))
        return torch.cat(seen).numpy()
