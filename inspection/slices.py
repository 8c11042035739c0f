"""Long slices of topics, read a step at a time: what is held is a few megabytes, however long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from inspection.wanted import Span
from log.reader import LogReader, Record, Slice

Advance = Callable[[int], None]
"""Told how many more places have been read."""

SKEW_MS = 60_000  # how far the clocks of those who write to one partition may be apart
NEAR = 200  # as exact as a place is found by time


EVER = Span()


class Extent(NamedTuple):
    """Places of one partition from ``start`` on, before ``stop``."""

    start: int
    stop: int


def no_one(count: int) -> None:
    """For who needs no progress."""


async def extents(
    reader: LogReader, topic: str, partitions: Iterable[int], span: Span = EVER
) -> dict[int, Extent]:
    """What is there now of each partition, from the first record to the true end.

    Args:
        span: only as much as is needed to see all records of these times. Times are the records'
            own, so those of the slice have to be looked at still.
    """
    numbers = sorted(partitions)
    if not numbers:
        return {}
    starts, ends = await reader.starts(topic, numbers), await reader.ends(topic, numbers)
    found = {}
    for n in numbers:
        start, stop = starts[n], ends[n]
        if span.since is not None and start < stop:
            start = await reader.since(topic, n, span.since - SKEW_MS, NEAR)
        if span.until is not None and start < stop:
            stop = min(stop, await reader.since(topic, n, span.until + SKEW_MS, NEAR) + NEAR)
        found[n] = Extent(start, max(start, stop))
    return found


def length(of: Mapping[int, Extent]) -> int:
    """How many places there are to read."""
    return sum(stop - start for start, stop in of.values())


async def scan(
    reader: LogReader, topic: str, partition: int, extent: Extent, advance: Advance = no_one
) -> AsyncIterator[list[Record]]:
    """The records of a slice, in lists. The next ones are fetched while these are looked at.

    Raises:
        KafkaError: they can't be read.
    """
    place, stop = extent
    if place >= stop:
        return
    coming = _fetch(reader, topic, partition, place)
    try:
        while place < stop:
            part = (await coming)[partition]
            if part.next <= place:
                break  # the log was cut meanwhile
            if part.next < stop:
                coming = _fetch(reader, topic, partition, part.next)
            records = part.records
            if part.next > stop:
                records = [each for each in records if each.offset < stop]
            advance(min(part.next, stop) - place)
            place = part.next
            yield records
    finally:
        coming.cancel()
        with suppress(BaseException):
            await coming


def _fetch(
    reader: LogReader, topic: str, partition: int, place: int
) -> asyncio.Task[dict[int, Slice]]:
    return asyncio.create_task(reader.fetch(topic, {partition: place}))
