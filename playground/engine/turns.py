"""First come, first served: a lock that nobody can take twice while others wait."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Python's own Lock lets a busy loop take it again and again while others starve."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._queue: deque[threading.Event] = deque()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for the turn, and pass it on at the end."""
        mine = self._stand_in_line()
        mine.wait()
        try:
            yield
        finally:
            with self._guard:
                self._queue.popleft()
                if self._queue:
                    self._queue[0].set()

    def close(self, seconds: float) -> None:
        """Nobody gets a turn after this. Waits for the one under way, at most so long."""
        self._stand_in_line().wait(seconds)

    def _stand_in_line(self) -> threading.Event:
        """Set when it is this one's turn."""
        mine = threading.Event()
        with self._guard:
            self._queue.append(mine)
            if self._queue[0] is mine:
                mine.set()
        return mine
