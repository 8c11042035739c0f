"""Limits of time for many at once.

The loop's own timers cost as much as several steps of a job, and nearly all are cancelled. Most
attempts have the same limit, so those that began first are out of time first: one timer for each
limit is enough, and an attempt that ends in time has cost a place in a dict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cached_property, partial

from execution.starts import Starts


class Clocks:
    """Runs clocks; each calls back when its time is over, unless it is stopped before."""

    def __init__(self) -> None:
        self._lines: dict[float, _Line] = {}
        self.starts = Starts()

    @cached_property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that they run in; asked for each job, asyncio would take its time."""
        return asyncio.get_running_loop()

    def start(self, limit_s: float, ring: Callable[[float], None]) -> Callable[[], object]:
        """Start a clock; ``ring`` gets ``limit_s``. What is returned stops it, once or more."""
        line = self._lines.get(limit_s)
        if line is None:
            line = self._lines[limit_s] = _Line(self, limit_s)
        return line.start(ring)

    def forget(self, limit_s: float) -> None:
        """No clock has this limit now."""
        self._lines.pop(limit_s, None)


class _Line:
    """Clocks of one limit, the oldest first."""

    def __init__(self, clocks: Clocks, limit_s: float) -> None:
        self._clocks = clocks
        self._limit_s = limit_s
        self._loop = clocks.loop
        self._next = 0
        self._running: dict[int, tuple[float, Callable[[float], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self, ring: Callable[[float], None]) -> Callable[[], object]:
        number = self._next
        self._next += 1
        self._running[number] = (self._loop.time() + self._limit_s, ring)
        if self._timer is None:
            self._timer = self._loop.call_later(self._limit_s, self._look)

        return partial(self._running.pop, number, None)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._running:
            number, (at, ring) = next(iter(self._running.items()))
            if at > now:
                self._timer = self._loop.call_at(at, self._look)
                return
            del self._running[number]
            ring(self._limit_s)
        if self._timer is None:
            self._clocks.forget(self._limit_s)
