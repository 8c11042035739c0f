"""What a worker's processes use: processor time and memory, looked at a few times a second."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from typing import NamedTuple, Self

import psutil

EVERY_S = 0.2


class Sample(NamedTuple):
    """``at``: epoch seconds. ``cpu_s``: used so far by all processes, those that have ended too."""

    at: float
    cpu_s: float
    resident_bytes: int


class Sampler:
    """Of a process and its children, while the block runs."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples: list[Sample] = []

    def cpu_s(self, first: float, last: float) -> float:
        """Used between two times (epoch seconds)."""
        return self._at(last) - self._at(first)

    @property
    def most_bytes(self) -> int:
        """Memory at most; what several processes share is counted in each."""
        return max((each.resident_bytes for each in self.samples), default=0)

    def _at(self, at: float) -> float:
        """By a straight line between the samples around."""
        n = bisect_left(self.samples, at, key=lambda sample: sample.at)
        if n == 0 or n == len(self.samples):
            return self.samples[min(n, len(self.samples) - 1)].cpu_s
        before, after = self.samples[n - 1], self.samples[n]
        share = (at - before.at) / (after.at - before.at)
        return before.cpu_s + share * (after.cpu_s - before.cpu_s)

    def _run(self) -> None:
        while True:
            try:
                self.samples.append(self._look())
            except psutil.Error:
                return  # it has ended
            if self._over.wait(EVERY_S):
                return

    def _look(self) -> Sample:
        at, cpu_s, resident = time.time(), 0.0, 0
        for process in [self._root, *self._root.children(recursive=True)]:
            try:
                with process.oneshot():
                    cpu_s += sum(process.cpu_times()[:4])  # its own, and of its ended children
                    resident += process.memory_info().rss
            except psutil.NoSuchProcess:
                if process is self._root:
                    raise
        return Sample(at, cpu_s, resident)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
