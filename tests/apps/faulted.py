"""The worker, made to fail on purpose as its environment says.

KILL_AT: see ``tests.apps.kill_points``. MUTATION: see ``tests.apps.mutations``. DROP_EVERY=n: of
n records that are fetched, one is never delivered. CLOCK_JUMP=``after:by``, seconds: the wall clock
jumps so far, so long after the start.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from faust.types import TP

from app import app
from tests.apps import kill_points
from tests.apps.mutations import MUTATIONS
from worker.batches import Batches


def drop(one_of: int) -> None:
    """Lose one of so many records, the same ones in each worker."""
    iterate = Batches.iterate

    def dropping(self: Batches, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, list[Any]]]:
        for tp, batch in iterate(self, records):
            kept = [
                r
                for r in batch
                if zlib.crc32(f"{tp.topic}-{tp.partition}-{r.offset}".encode()) % one_of
            ]
            if kept:
                yield tp, kept

    Batches.iterate = dropping  # type: ignore[method-assign]


def jump(after_s: float, by_s: float) -> None:
    """Let the wall clock jump; the monotonic one doesn't."""
    time_s, time_ns, start = time.time, time.time_ns, time.monotonic()

    def by() -> float:
        return by_s if time.monotonic() - start > after_s else 0.0

    time.time = lambda: time_s() + by()
    time.time_ns = lambda: time_ns() + round(by() * 1e9)


if "KILL_AT" in os.environ:
    kill_points.arm(os.environ["KILL_AT"])
if "MUTATION" in os.environ:
    MUTATIONS[os.environ["MUTATION"]]()
if "DROP_EVERY" in os.environ:
    drop(int(os.environ["DROP_EVERY"]))
if "CLOCK_JUMP" in os.environ:
    jump(*map(float, os.environ["CLOCK_JUMP"].split(":")))

__all__ = ["app"]
