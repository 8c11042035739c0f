"""Token buckets: so much a second, and so much at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

Clock = Callable[[], float]


class Bucket:
    """Holds ``burst`` tokens at most, and gets ``rate`` new ones a second.

    Args:
        clock: seconds of a clock that only rises.
    """

    def __init__(self, rate: float, burst: float, clock: Clock) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._at = clock()

    def wait(self) -> float:
        """Seconds until there is a token; 0.0 if there is one."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, (1 - self._tokens) / self._rate)

    def take(self) -> float:
        """Take a token: 0.0. If there is none: seconds until there is one."""
        wait_s = self.wait()
        if not wait_s:
            self._tokens -= 1
        return wait_s


class Buckets:
    """A bucket for each name; of too many names, those are forgotten that were used longest ago."""

    def __init__(self, rate: float, burst: float, most: int, clock: Clock) -> None:
        self._new = (rate, burst, clock)
        self._most = most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def wait(self, name: str) -> float:
        """As ``Bucket.wait``."""
        return self._bucket(name).wait()

    def take(self, name: str) -> float:
        """As ``Bucket.take``."""
        return self._bucket(name).take()

    def _bucket(self, name: str) -> Bucket:
        bucket = self._buckets.setdefault(name, Bucket(*self._new))
        self._buckets.move_to_end(name)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket
