"""One timer for all that is due later: jobs with a delay, and reruns.

Due times are wall-clock times, since they outlive the worker; a clock that jumps is
noticed within ``LONGEST_NAP_S``.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

LONGEST_NAP_S = 5.0

K = TypeVar("K", bound=Hashable)


class DueTimer(Generic[K]):
    """Calls ``due(key)`` when a key's time has come. Times are epoch milliseconds."""

    def __init__(self, due: Callable[[K], None], now_ms: Callable[[], int] | None = None) -> None:
        self._due = due
        self._now_ms = now_ms or (lambda: time.time_ns() // 1_000_000)
        self._times: dict[K, int] = {}
        self._heap: list[tuple[int, int, K]] = []
        self._order = itertools.count()  # keys of one time are called in the order they came
        self._alarm: asyncio.TimerHandle | None = None

    def set(self, key: K, at_ms: int) -> None:
        """Arm a key's timer; an earlier one of the same key is forgotten."""
        self._times[key] = at_ms
        heapq.heappush(self._heap, (at_ms, next(self._order), key))
        if self._heap[0][2] == key:
            self._arm()

    def discard(self, key: K) -> None:
        """Forget a key."""
        self._times.pop(key, None)

    def waiting(self) -> list[K]:
        """All keys that are armed."""
        return list(self._times)

    def __contains__(self, key: object) -> bool:
        return key in self._times

    def __len__(self) -> int:
        return len(self._times)

    def stop(self) -> None:
        """Forget all keys."""
        self._times.clear()
        self._heap.clear()
        self._arm()

    def _arm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._heap:
            nap_s = (self._heap[0][0] - self._now_ms()) / 1000
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(min(max(nap_s, 0.0), LONGEST_NAP_S), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        now = self._now_ms()
        try:
            while self._heap and self._heap[0][0] <= now:
                at, _, key = heapq.heappop(self._heap)
                if self._times.get(key) == at:  # else: forgotten, or set anew
                    del self._times[key]
                    self._due(key)
        finally:
            self._arm()
