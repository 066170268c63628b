"""How many rows one U-Net call should have: on an accelerator measured once per shape, on a CPU learned all the time;
halved for good when memory runs out."""

import time

import torch
from torch import Tensor

from playground.engine.learning import FIRST, Learning
from playground.engine.pace import synchronize
from playground.models import Condition, Model

MOST_ROWS = 128
NEAR_BEST = 1.1  # the smallest batch within this factor of the best time per row: it answers sooner
LONGEST_CALL = 0.5  # seconds; longer calls would make visitors wait for each other and Stop feel dead
TRIES = 3  # of each size; the fastest counts, because what else the machine does only ever adds time
SHARE_OF_MEMORY = 0.8  # of what is free on an accelerator, for the rows of one call

Shape = tuple[int, ...]  # (1, C, h, w)


class Capacity:
    """Rows per call, by latent shape."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.rows: dict[Shape, int] = {}
        self._learning: dict[Shape, Learning] = {}
        self._most: dict[Shape, int] = {}  # rows that memory has room for, where that was met

    def __call__(self, shape: Shape) -> int:
        if shape not in self.rows:
            self.rows[shape] = FIRST if self._model.device.type == "cpu" else self._measure(shape)
        return self.rows[shape]

    def note(self, shape: Shape, rows: int, seconds: float) -> None:
        """What a call took; on a CPU, where it is over when it returns, the next ones learn from it."""
        if self._model.device.type != "cpu":
            return
        known = self._learning.get(shape)
        if known is None or known.trying != self(shape):  # begun, or told otherwise
            limit = {"most": self._most[shape]} if shape in self._most else {}
            known = self._learning[shape] = Learning(self(shape), **limit)
        self.rows[shape] = known.after(rows, seconds)

    def halve(self, shape: Shape, failed: int) -> None:
        """A call with `failed` rows ran out of memory."""
        self.rows[shape] = self._most[shape] = max(1, failed // 2)

    def _measure(self, shape: Shape) -> int:
        """Time calls of 1, 2, 4 … rows, all sizes again and again rather than each one several times in a row: a slow
        moment then meets every size alike. On an accelerator memory sets a second limit."""
        best: dict[int, float] = {}  # rows -> seconds
        limit = self._rows_in_memory(shape) if self._model.device.type == "cuda" else MOST_ROWS
        for _ in range(TRIES):
            rows = 1
            while rows <= limit:
                try:
                    seconds = self._seconds(shape, rows)
                except RuntimeError as error:
                    if not out_of_memory(error):
                        raise
                    free_memory(self._model.device)
                    limit = rows - 1
                    break
                best[rows] = min(seconds, best.get(rows, seconds))
                if seconds > LONGEST_CALL:
                    break
                rows *= 2
        each = {n: s / n for n, s in best.items() if n == 1 or (n <= limit and s <= LONGEST_CALL)}
        return min((n for n in each if each[n] <= NEAR_BEST * min(each.values())), default=1)

    def _seconds(self, shape: Shape, rows: int) -> float:
        start = time.perf_counter()
        self._model.predict(*self._inputs(shape, rows))
        synchronize(self._model.device)
        return time.perf_counter() - start

    def _inputs(self, shape: Shape, rows: int) -> tuple[Tensor, Tensor, list[Condition]]:
        device = self._model.device
        facts = self._model.facts
        texts = [self._model.condition(facts.text("", facts.usual))] * rows
        return torch.zeros(rows, *shape[1:], device=device), torch.full((rows,), 500.0, device=device), texts

    def _rows_in_memory(self, shape: Shape) -> int:
        """From the peak memory of calls with one and with two rows: the difference is the price of a row. 1 where two
        do not fit; whether one does is found out when it is needed."""
        peaks = []
        for rows in (1, 2):
            torch.cuda.reset_peak_memory_stats()
            try:
                self._seconds(shape, rows)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                free_memory(self._model.device)
                return 1
            peaks.append(torch.cuda.max_memory_allocated())
        free, _ = torch.cuda.mem_get_info()
        return min(MOST_ROWS, max(1, int(SHARE_OF_MEMORY * free / max(1, peaks[1] - peaks[0]))))

    def largest_side_that_fits(self, shape: Shape) -> int | None:
        """Pixels per side of the largest square, in eighths of the failed one, that the network and the decoder can
        take; None when there is none."""
        longest = max(shape[2:])
        for eighths in range(7, 0, -1):
            side = longest * eighths // 8 // 8 * 8  # latents that every level of the U-Net can halve
            if side == 0:
                break
            try:
                self._seconds((1, shape[1], side, side), 1)
                self._model.decode(torch.zeros(1, shape[1], side, side, device=self._model.device))
                return side * self._model.facts.scale
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                free_memory(self._model.device)
        return None


def out_of_memory(error: Exception) -> bool:
    """True for the accelerator's own exception and for the CPU allocator's, which has none."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def free_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
