"""Counting durations where it must cost nearly nothing: no lock, no object for each one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


class Histogram:
    """How many durations were at most so long; for one thread. Bounds and durations are seconds."""

    __slots__ = ("bounds", "counts", "total_s")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)  # the last: longer than every bound
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one. A clock that was set back makes none of less than nothing."""
        if seconds < 0.0:
            seconds = 0.0  # no `max`: this is done several times a job
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total_s += seconds

    def cumulative(self) -> list[tuple[float, int]]:
        """Bound → how many were at most that; the last bound is infinity."""
        return list(zip((*self.bounds, float("inf")), accumulate(self.counts), strict=True))
