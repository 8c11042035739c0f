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
    return _paced(made, float(sys.argv[4])) if len(sys.argv) > 4 else made


def _paced(made: Iterator[tuple[int, int]], rate: float) -> Iterator[tuple[int, int]]:
    """So many a second, whatever becomes of them; each is noted as it is handed out."""
    began = time.monotonic()
    for n, ms in made:
        time.sleep(max(0.0, began + n / rate - time.monotonic()))
        note(n, "BENCH_SUBMITTED")
        yield n, ms


def chunks(of: Iterator[T], size: int) -> Iterator[list[T]]:
    """So many at a time."""
    chunk: list[T] = []
    for each in of:
        chunk.append(each)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
