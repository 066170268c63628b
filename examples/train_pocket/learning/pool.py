"""Pictures kept on the device, so that drawing them never holds an accelerator up."""

import queue
import threading
from collections.abc import Callable

import numpy as np
import torch

MARGIN = 12  # pixels that crops keep away from the border where they can: a picture's corners are plain


class Pool:
    """`size` whole pictures as uint8 on the device; a thread draws new ones, which take the places of the oldest.

    `draw` gives one picture, (side, side, 3) uint8. It is only called from that thread after the pool is filled.
    """

    def __init__(self, draw: Callable[[], np.ndarray], size: int, device: torch.device, seed: int = 0) -> None:
        self._draw, self.device = draw, device
        self.pictures = torch.stack([torch.from_numpy(draw()) for _ in range(size)]).to(device)
        self._fresh: queue.Queue[np.ndarray] = queue.Queue(256)
        self._oldest = 0
        self._random = torch.Generator().manual_seed(seed)
        threading.Thread(target=self._keep_drawing, daemon=True).start()

    def _keep_drawing(self) -> None:
        while True:
            self._fresh.put(self._draw())

    def _renew(self) -> None:
        new = []
        while not self._fresh.empty():
            new.append(torch.from_numpy(self._fresh.get_nowait()))
        if new:
            places = (torch.arange(len(new)) + self._oldest) % len(self.pictures)
            self.pictures[places.to(self.device)] = torch.stack(new).to(self.device)
            self._oldest = int(places[-1]) + 1

    def batch(self, n: int, crop: int) -> torch.Tensor:
        """-> (n, 3, crop, crop) in [-1, 1] on the device, random crops of random pictures"""
        self._renew()
        side = self.pictures.shape[1]
        low, high = min(MARGIN, side - crop), max(side - crop - MARGIN, 0)
        chosen = torch.randint(len(self.pictures), (n,), generator=self._random)
        corners = torch.randint(min(low, high), max(low, high) + 1, (2, n), generator=self._random)
        rows, columns = (c[:, None] + torch.arange(crop) for c in corners)  # (n, crop) each
        chosen, rows, columns = (i.to(self.device) for i in (chosen, rows, columns))
        pictures = self.pictures[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]  # (n, crop, crop, 3)
        return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1
