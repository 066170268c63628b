"""What stands where in a drawn scene, as a second lesson for the image tower ("token labelling", Jiang et al. 2021,
https://arxiv.org/abs/2104.10858).

A caption has to be told apart only from the others in its batch; a label for each cell that shows a thing says at once
which of all things it is. The labels' two small heads are not exported.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .colours import HUES
from .scene import SIZE, Scene
from .things import table

INNER = 0.3  # of a thing's side: cells with their centre within this distance of the thing's centre show it


def labels(scenes: list[Scene], grid: int) -> Tensor:
    """Scenes cut into grid × grid cells -> (M, 4): row of the scene, cell, row of things.tsv, hue (0: its own)"""
    centres = (torch.arange(grid) + 0.5) * SIZE / grid
    found = []
    for i, scene in enumerate(scenes):
        for part in scene.parts:
            distance = torch.maximum((centres - part.y).abs()[:, None], (centres - part.x).abs()[None])  # (grid, grid)
            inside = distance <= max(INNER * part.side, distance.min().item())
            hue = HUES.index(part.hue) + 1 if part.hue else 0
            found += [(i, cell, part.thing, hue) for cell in inside.flatten().nonzero()[:, 0].tolist()]
    return torch.tensor(found)


class CellLabels(nn.Module):
    """The image tower's last feature map -> cross-entropies of thing and hue at the labelled cells, summed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.thing = nn.Linear(width, len(table()))
        self.hue = nn.Linear(width, len(HUES) + 1)

    def forward(self, features: Tensor, labelled: Tensor) -> Tensor:
        """(B, width, grid, grid), (M, 4) -> ()"""
        shown = self.norm(features.flatten(2)[labelled[:, 0], :, labelled[:, 1]])  # (M, width)
        return F.cross_entropy(self.thing(shown), labelled[:, 2]) + F.cross_entropy(self.hue(shown), labelled[:, 3])
