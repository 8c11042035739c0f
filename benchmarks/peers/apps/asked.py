"""What a feeder is asked for, by its arguments: KIND JOBS MS[,MS…] [RATE]."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TypeVar

from .note import note

T = TypeVar("T")


def kind() -> str:
    """What the jobs do."""
    return sys.argv[1]


def jobs() -> Iterator[tuple[int, int]]:
    """Number and pause (ms) of each."""
    pauses = [int(ms) for ms in sys.argv[3].split(",")]
    made = ((n, pauses[n % len(pauses)]) for n in range(int(sys.argv[2])))
    rate = _rate()
    return made if rate is None else _paced(made, rate)


def _rate() -> float | None:
    return float(sys.argv[4]) if len(sys.argv) > 4 else None


def _paced(made: Iterator[tuple[int, int]], rate: float) -> Iterator[tuple[int, int]]:
    """So many a second, whatever becomes of them. Noted is when each was due, so that a feeder that
    is late makes nothing look quicker."""
    began = time.time()
    for n, ms in made:
        due = began + n / rate
        time.sleep(max(0.0, due - time.time()))
        note(n, "BENCH_SUBMITTED", round(due * 1e9))
        yield n, ms


def chunks(of: Iterator[T], size: int) -> Iterator[list[T]]:
    """So many at a time; one by one at a rate, where none may wait for those behind it."""
    size = size if _rate() is None else 1
    chunk: list[T] = []
    for each in of:
        chunk.append(each)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
