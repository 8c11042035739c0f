"""What a feeder is asked for, by its arguments: KIND JOBS MS[,MS…]."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def kind() -> str:
    """What the jobs do."""
    return sys.argv[1]


def jobs() -> Iterator[tuple[int, int]]:
    """Number and pause (ms) of each."""
    pauses = [int(ms) for ms in sys.argv[3].split(",")]
    return ((n, pauses[n % len(pauses)]) for n in range(int(sys.argv[2])))


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
