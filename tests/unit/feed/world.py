"""A feed between a log in memory and a sink that remembers."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from agents.feed import Feed, Handle
from log.reader import Record
from tables.fold import Fence
from tables.partition import Partition


def record(offset: int) -> Record:
    return Record(offset, 1_000 + offset, None, b"%d" % offset, ())


class Reader:
    """A log in memory, as the log reader shows it. Places may be no records: markers."""

    def __init__(self, *lengths: int) -> None:
        self.logs: list[list[Record | None]] = [[record(n) for n in range(k)] for k in lengths]
        self.first = 0
        self.asked: list[tuple[int, int, int]] = []
        self.errors: list[Exception] = []
        self.before_ends: Callable[[], Any] | None = None
        self.before_start: Callable[[], Any] | None = None

    async def ends(self, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        found = {p: len(self.logs[p]) for p in partitions}
        await self._meanwhile(self.before_ends)
        return found

    async def start(self, topic: str, partition: int) -> int:
        await self._meanwhile(self.before_start)
        return self.first

    async def read(self, topic: str, partition: int, start: int, stop: int) -> list[Record]:
        self.asked.append((partition, start, stop))
        await self._meanwhile(None)
        return [r for r in self.logs[partition][start:stop] if r is not None]

    async def _meanwhile(self, step: Callable[[], Any] | None) -> None:
        await asyncio.sleep(0)
        if step is not None:
            await step()
        if self.errors:
            raise self.errors.pop(0)


class Sink:
    """Handles records: remembers them, unless it is told to raise first, or to wait."""

    def __init__(self) -> None:
        self.seen: dict[int, list[int]] = {}
        self.calls: list[tuple[int, list[int]]] = []
        self.errors: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.busy: set[int] = set()

    async def __call__(self, part: Partition, records: Sequence[Record]) -> None:
        assert part.number not in self.busy
        self.busy.add(part.number)
        try:
            self.calls.append((part.number, [r.offset for r in records]))
            await self.gate.wait()
            if self.errors:
                raise self.errors.pop(0)
            for each in records:
                assert each == record(each.offset)
                self.seen.setdefault(part.number, []).append(each.offset)
        finally:
            self.busy.discard(part.number)


class World:
    """A feed between a log and a sink, with partitions served from place 0 on."""

    def __init__(self, *lengths: int) -> None:
        self.reader = Reader(*lengths)
        self.sink = Sink()
        self.served = {p: Partition(p, Fence(1, "aaaa")) for p in range(len(lengths))}
        self.positions: dict[int, int] = {}  # what Faust delivers next, where that is known
        self.held: set[int] = set()  # partitions of which Faust fetches no more
        self.freed: list[int] = []  # how many records had been handled when it went on
        self.feed = self.fed(self.sink)
        for p in self.served:
            self.feed.assign(p, 0)

    def fed(self, handle: Handle) -> Feed:
        reader: Any = self.reader
        return Feed(
            "jobs", reader, self.served, handle, lambda _, p: self.positions.get(p), self.hold
        )

    def hold(self, _: str, p: int, held: bool) -> None:
        assert held is (p not in self.held), "told once"
        self.held ^= {p}
        if not held:
            self.freed.append(len(self.seen))

    async def deliver(self, *offsets: int, p: int = 0) -> None:
        for offset in offsets:
            self.feed.offer(p, [record(offset)])

    async def settle(self) -> None:
        """Wait until the feed has nothing to do any more."""
        me = asyncio.current_task()
        while tasks := asyncio.all_tasks() - {me}:
            await asyncio.wait(tasks)

    async def audit(self, looks: int = 1) -> None:
        for _ in range(looks):
            await self.feed.audit()
            await self.settle()

    @property
    def seen(self) -> list[int]:
        return self.sink.seen.get(0, [])

    @property
    def place(self) -> int:
        return self.feed.places[0]


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


asynchronous = pytest.mark.asyncio
