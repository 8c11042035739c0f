"""How many jobs were in each state, at one time or at many."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from inspection.slices import Advance, Extent, extents, no_one, scan
from inspection.unread import unread_row
from inspection.wanted import Span
from jobs.codec import decode_as
from jobs.model import Status
from log.reader import LogReader, Record
from log.topics import TopicNames
from tables.fold import Fences, row_offset
from tables.marks import SWEPT_KEY, Swept, read


class _Row(msgspec.Struct, gc=False):
    status: Status
    submitted_at: int
    handler: str = ""


_decoder = msgspec.json.Decoder(_Row)


class Timeline:
    """Counts by state at each of ``times`` (epoch ms, rising). A job counts as waiting from its
    record's timestamp on, until its row says something else; a removed row counts no more."""

    def __init__(self, times: Sequence[int], handlers: frozenset[str] = frozenset()) -> None:
        """``handlers``: only jobs of these; all if there are none."""
        self.times = times
        self._handlers = handlers
        self._deltas: list[Counter[Status]] = [Counter() for _ in times]

    def counts(self) -> list[Counter[Status]]:
        """By state, at each time."""
        found, now = [], Counter[Status]()
        for delta in self._deltas:
            now = Counter(now)
            now.update(delta)
            found.append(now)
        return found

    async def read(
        self, reader: LogReader, names: TopicNames, partitions: int, advance: Advance = no_one
    ) -> None:
        """Count all jobs of the topics.

        Raises:
            KafkaError: they can't be read.
        """
        span = Span(until=self.times[-1])
        changelog = await extents(reader, names.changelog, range(partitions), span)
        jobs = await extents(reader, names.jobs, range(partitions), span)
        for n in range(partitions):
            part = _Part(self, n)
            async for records in scan(reader, names.changelog, n, changelog[n], advance):
                part.take(records)
            start = min(max(jobs[n].start, part.position()), jobs[n].stop)
            async for records in scan(reader, names.jobs, n, Extent(start, jobs[n].stop), advance):
                part.take_unread(records)

    async def places(self, reader: LogReader, names: TopicNames, partitions: int) -> int:
        """About how many have to be read.

        Raises:
            KafkaError: as ``read``.
        """
        span = Span(until=self.times[-1])
        changelog = await extents(reader, names.changelog, range(partitions), span)
        return sum(stop - start for start, stop in changelog.values())

    def add(self, at: int, status: Status | None, before: Status | None) -> None:
        """A job is in a state from then on, and no more in the one before."""
        n = bisect_left(self.times, at)
        if n == len(self.times) or status is before:
            return
        if status is not None:
            self._deltas[n][status] += 1
        if before is not None:
            self._deltas[n][before] -= 1

    def wants(self, handler: str) -> bool:
        """Whether jobs of a handler are counted."""
        return not self._handlers or handler in self._handlers


class _Part:
    """One partition, in the order of its changelog."""

    def __init__(self, timeline: Timeline, number: int) -> None:
        self._timeline = timeline
        self._number = number
        self._fences = Fences()
        self._states: dict[int, Status | None] = {}  # None: removed, or not asked for
        self._swept = Swept()
        self._passed = 0  # up to here intake has come for certain

    def take(self, records: Iterable[Record]) -> None:
        """The next records of the changelog."""
        until = self._timeline.times[-1]
        for record in records:
            if not self._fences.counts(record) or record.timestamp > until:
                continue
            offset = row_offset(record.key, self._number)
            if offset is None:
                if record.key == SWEPT_KEY:
                    self._swept = read(Swept, record.value) or self._swept
            elif record.value is None:
                self._timeline.add(record.timestamp, None, self._states.get(offset))
                self._states[offset] = None
            else:
                self._row(offset, record.timestamp, record.value)

    def _row(self, offset: int, at: int, value: bytes) -> None:
        try:
            row = decode_as(_decoder, value)
        except msgspec.DecodeError:
            return
        if row.status is not Status.CANCELED and offset >= self._passed:
            self._passed = offset + 1
        new = offset not in self._states
        if not self._timeline.wants(row.handler):
            self._states[offset] = None
            return
        before = Status.WAITING if new else self._states[offset]
        if new:
            self._timeline.add(min(row.submitted_at, at), Status.WAITING, None)
        self._timeline.add(at, row.status, before)
        self._states[offset] = row.status

    def position(self) -> int:
        """Where jobs may begin that intake hasn't come to."""
        return max(self._passed, self._swept.next)

    def take_unread(self, records: Iterable[Record]) -> None:
        """Records of the jobs topic from there on."""
        until = self._timeline.times[-1]
        for record in records:
            if record.offset in self._states or record.timestamp > until:
                continue
            if self._timeline.wants(unread_row(record).handler):
                self._timeline.add(record.timestamp, Status.WAITING, None)
