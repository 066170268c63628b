"""Encoded texts kept for the next time, as many as fit into so many bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from playground.models.contract import Condition

TEXT_CACHE_BYTES = 256 * 2**20  # one of T5-XXL is up to 8 MB, one of Pocket 25 kB


class TextCache:
    """What `encode` answers, by its arguments; those used longest ago go first. For many threads, which may encode the
    same text at once."""

    def __init__(self, encode: Callable[..., Condition], most: int = TEXT_CACHE_BYTES) -> None:
        self._encode, self._most = encode, most
        self._kept: OrderedDict[Any, tuple[Condition, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def __call__(self, *args: Any, **named: Any) -> Condition:
        key = args, tuple(sorted(named.items()))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        found = self._encode(*args, **named)
        size = sum(tensor.nbytes for tensor in found.values())
        with self._lock:
            if key not in self._kept and size <= self._most:
                self._kept[key] = found, size
                self.bytes += size
            while self.bytes > self._most:
                _, (_, gone) = self._kept.popitem(last=False)
                self.bytes -= gone
        return found

    def cache_clear(self) -> None:
        """As functools' caches have it."""
        with self._lock:
            self._kept.clear()
            self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)
