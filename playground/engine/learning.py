"""How many rows a CPU's network call should have, learned from the calls themselves while they are made.

A processor's best batch is not a fact to be measured once: other processes come and go, and the network gets faster
when its compiled form is ready. So now and then a call is made with half or twice the rows, which costs nothing, and
sizes are compared by calls of the same time.
"""

from collections import deque
from statistics import median

FIRST, MOST = 2, 32  # rows
SHORT = 0.15  # seconds; a call that takes no longer keeps nobody waiting, so the rows of one are worth having
GAIN = 1.1  # a batch whose calls are longer must be this much faster for each row
EVERY = 8  # full calls between two with another size
MEMORY, ENOUGH = 5, 3  # calls of each size that are remembered, and that a comparison needs


class Learning:
    """Of pictures of one size."""

    def __init__(self, rows: int, most: int = MOST) -> None:
        self.trying = rows  # of the next call
        self._rows, self._most = rows, most
        self._starting = rows == FIRST
        self._each: dict[int, deque[float]] = {}  # rows -> seconds for each of them, of the latest calls
        self._full, self._probes = 0, 0

    def after(self, rows: int, seconds: float) -> int:
        """A call of so many rows took so long -> rows that the next one should have.

        A call for which not enough rows were waiting says nothing about the size that was tried.
        """
        if rows != self.trying:
            return self.trying
        self._each.setdefault(rows, deque(maxlen=MEMORY)).append(seconds / rows)
        if self._starting and seconds <= SHORT / 2 and 2 * self._rows <= self._most:
            self._settle(2 * self._rows)
            return self.trying
        self._starting = False
        self._compare()
        self._full += 1
        self.trying = self._rows
        if self._full % EVERY == 0:
            self._probes += 1
            other = 2 * self._rows if self._probes % 2 else self._rows // 2
            self.trying = other if 1 <= other <= self._most else self._rows
        return self.trying

    def _compare(self) -> None:
        here, half, twice = (self._typical(n) for n in (self._rows, self._rows // 2, 2 * self._rows))
        if here is None:
            return
        if twice is not None:
            gain = here / twice
            if gain >= GAIN or (gain >= 1 and 2 * self._rows * twice <= SHORT):
                self._settle(2 * self._rows)
                return
        if half is not None:
            loss = half / here
            if loss <= 1 / GAIN or (loss < GAIN and self._rows * here > SHORT):
                self._settle(self._rows // 2)

    def _typical(self, rows: int) -> float | None:
        each = self._each.get(rows, ())
        return median(each) if len(each) >= ENOUGH else None

    def _settle(self, rows: int) -> None:
        """From here both neighbours are compared anew."""
        self._rows = self.trying = rows
        self._each = {n: each for n, each in self._each.items() if n == rows}
