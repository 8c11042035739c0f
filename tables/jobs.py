"""``JobTable``: the only place that writes rows.

Durable, then visible: readers see a row only after Kafka has acknowledged it. What a
``kill -9`` leaves is therefore always some prefix of what was sent, and never a state
that anybody was told of and that is gone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from typing import Any

import msgspec
from faust.stores import memory
from faust.tables.table import Table
from faust.types import AppT
from yarl import URL

from jobs.codec import encode_row
from jobs.errors import InvalidId
from jobs.model import Job, JobId
from log.writer import LogWriter
from tables.marks import Mark, Swept
from tables.partition import Partition, PartitionLost
from tables.places import FIRST, prev_header, with_place
from tables.tempo import Tempo
from tables.transitions import Transitions
from worker.app import JobsApp

logger = logging.getLogger(__name__)


class Change(msgspec.Struct, frozen=True, gc=False):
    """A row in place of another: ``before`` is the newest row that it was made from, or
    ``None`` if the job had none; ``job`` is ``None`` to remove it. ``mark`` is written right
    before it, so that whoever finds the row finds the mark. ``value``: the row as bytes, where it
    has been encoded already."""

    offset: int
    before: Job | None
    job: Job | None
    mark: Mark | None = None
    value: bytes | None = None


class Rows(Mapping[str, Job]):
    """All rows of all partitions that this worker serves, read-only, by id as text."""

    def __init__(self, partitions: Mapping[int, Partition]) -> None:
        self._partitions = partitions

    def __getitem__(self, key: str) -> Job:
        try:
            job_id = JobId.parse(key)
        except InvalidId:
            raise KeyError(key) from None
        return self._partitions[job_id.partition].rows[job_id.offset]

    def __iter__(self) -> Iterator[str]:
        for number, part in self._partitions.items():
            for offset in part.rows:
                yield f"{number}-{offset}"

    def __len__(self) -> int:
        return sum(len(part.rows) for part in self._partitions.values())


class JobStore(memory.Store[str, Job]):
    """The table's store as Faust sees it: a view of the rows."""

    logger = logging.getLogger("faust.stores.jobs")  # its comings and goings are Faust's talk

    def __init__(self, url: URL, app: AppT, table: JobTable, **kwargs: Any) -> None:
        super().__init__(url, app, table, **kwargs)
        self.data = Rows(table.served)  # type: ignore[assignment] # read-only on purpose


class JobTable(Table[str, Job]):
    """A Faust table whose partition is in its key, written outside of streams.

    ``table["3-1042"]`` reads a row of a partition that this worker owns. Rows are written
    by ``write``; item assignment would go through Faust's single-message buffer.
    """

    logger = logging.getLogger("faust.tables.jobs")
    app: JobsApp
    tempo: Tempo

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.served: dict[int, Partition] = {}
        super().__init__(*args, **kwargs)

    def open(
        self,
        writer: LogWriter,
        known: Callable[[str], bool] = lambda name: True,
    ) -> None:
        """Give the table what it writes with. ``known``: whether a handler is registered."""
        self.tempo = Tempo(now_ms)
        self.transitions = Transitions(self.tempo, known)
        # Each row asks.
        self._line = cache(lambda partition: writer.line(self._log, partition))

    def _new_store(self) -> JobStore:
        return JobStore(self.app.conf.store, self.app, self, table_name=self.name, loop=self.loop)

    @cached_property
    def _log(self) -> str:
        return str(self.changelog_topic.get_topic_name())

    @cached_property
    def _event_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # which takes longer than all that is done with it

    def partition_for_key(self, key: Any) -> int:
        """The partition is the key's first part."""
        return JobId.parse(key).partition

    def on_key_set(self, key: Any, value: Any) -> None:
        """Refuse: a row must be durable before it is seen."""
        raise TypeError("rows are written by JobTable.write, which waits for Kafka")

    def on_key_del(self, key: Any) -> None:
        """Refuse, for the same reason."""
        raise TypeError("rows are removed by JobTable.write, which waits for Kafka")

    def serve(self, part: Partition) -> None:
        """Show a partition's rows: its recovery is complete."""
        self.served[part.number] = part

    def drop(self, number: int, why: str) -> None:
        """Forget a partition that is no longer ours."""
        part = self.served.pop(number, None)
        if part is not None:
            part.lose(why)

    def find(self, job_id: JobId) -> Job | None:
        """The row that readers see. KeyError: this worker doesn't serve its partition."""
        return self.served[job_id.partition].rows.get(job_id.offset)

    async def write(self, part: Partition, changes: Sequence[Change]) -> None:
        """Write rows of one partition and wait until they are durable, and so visible.

        Guarded: a change is applied only if the job's newest row is still the one that it
        was made from. One that isn't is left out: somebody else was quicker, and his row counts.

        Raises:
            PartitionLost: the partition is not ours (any more), or Kafka did not acknowledge
                in time. The rows may be in the log or not; whoever takes the partition over
                reads what is there, and the caller does nothing more with these jobs.
        """
        await self._write(part, changes)

    def put(self, part: Partition, changes: Sequence[Change], then: Callable[[], None]) -> bool:
        """Write rows as ``write`` does, without a task that waits for them: ``then`` is called when
        they are visible, or the lease has ended. False: something has to be waited for before."""
        if not self._may(part) or not part.open:
            return False
        # Before anything is sent: it may raise.
        values = [
            encode_row(each.job) if each.value is None and each.job is not None else each.value
            for each in changes
        ]
        pending = Pending(self._event_loop, partial(self._shown, part, then))
        pending.left = 1  # until all are sent
        part.begin()
        try:
            for change, value in zip(changes, values, strict=True):
                pending.left += self._put(part, change, value, pending.told)
        finally:
            pending.told()
        return True

    def put_one(self, part: Partition, change: Change, then: Callable[[], None]) -> bool:
        """As ``put``, for one row, as half of all rows are written."""
        if not self._may(part) or not part.open:
            return False
        told = partial(self._shown, part, then)
        part.begin()
        try:
            sent = self._put(part, change, change.value, told)
        except BaseException:
            part.end()
            raise
        if not sent:
            told()
        return True

    def _shown(self, part: Partition, then: Callable[[], None]) -> None:
        part.end()
        if part.doubted:
            part.on_shown(then)
        else:
            then()

    async def sweep(self, part: Partition, offsets: Sequence[int], swept: Swept) -> None:
        """Remove final rows, after a mark that says up to where.

        A ``kill -9`` between the mark and the last row leaves rows that are swept later.

        Raises:
            PartitionLost: as ``write``.
        """
        changes = [Change(n, part.rows.get(n), None) for n in offsets]
        first = msgspec.structs.replace(changes[0], mark=swept)
        await self._write(part, [first, *changes[1:]])

    async def note(self, part: Partition, mark: Mark) -> None:
        """Write a mark alone.

        Raises:
            PartitionLost: as ``write``.
        """
        await self._write(part, [], mark)

    def _may(self, part: Partition) -> bool:
        """Whether rows may be written."""
        if part.alive and self.app.stale():  # then it may have been taken for dead
            part.lose("no heartbeat was answered for longer than the session timeout")
        return part.alive

    async def _write(
        self, part: Partition, changes: Sequence[Change], mark: Mark | None = None
    ) -> None:
        self._may(part)
        while not part.open:
            await part.opened()
        part.check()
        part.begin()
        pending = Pending(self._event_loop)
        try:
            if mark is not None:
                await self._note(part, mark, pending)
            for change in changes:
                if change.mark is not None:
                    await self._note(part, change.mark, pending)
                pending.left += self._put(part, change, change.value, pending.told)
            await pending.settled(part)
        finally:
            part.end()
        if part.doubted:
            await part.shown()
        part.check()

    def _put(
        self, part: Partition, change: Change, value: bytes | None, told: Callable[[], None]
    ) -> bool:
        """Send a row; ``told`` is called when it is acknowledged, or never will be. False: it isn't
        sent, since the job has moved on."""
        offset, before, job = change.offset, change.before, change.job
        # No await between this look and the note: two tasks can't both pass.
        if part.head(offset) is not before:
            return False
        if job is not None and value is None:
            value = encode_row(job)  # before the note: it may raise
        prev = FIRST if before is None else prev_header(part, offset, before, job)
        part.sent(offset, job)
        key = b"%d-%d" % (part.number, offset)
        headers = part.next_headers()
        if prev is not None:
            headers.append(prev)
        # The callback, not whoever waits, shows the row: that task may be cancelled between
        # the acknowledgement and its next step.
        now = self._event_loop.time()
        acknowledged = partial(self._row_told, told, part, offset, before, job, value, now)
        self._line(part.number).put(key, value, headers, acknowledged)
        return True

    async def _note(self, part: Partition, mark: Mark, pending: Pending) -> None:
        """Write what is before it, then the mark, then what is behind it, each acknowledged first:
        a batch may be lost and the next one written, so to be sent is no order."""
        await pending.settled(part)
        part.marks.put(mark)
        value = msgspec.json.encode(mark)
        told = partial(self._mark_told, pending, part, mark.key, value)
        pending.left += 1
        self._line(part.number).put(mark.key, value, part.next_headers(), told)
        await pending.settled(part)

    def _row_told(
        self,
        told: Callable[[], None],
        part: Partition,
        offset: int,
        before: Job | None,
        job: Job | None,
        value: bytes | None,
        sent_at: float,
        place: int,
        _: int,
        error: Exception | None,
    ) -> None:
        try:
            if error is not None:
                part.lose(f"a row of job {part.number}-{offset} was not acknowledged: {error!r}")
            else:
                part.acknowledged(offset, job, place)
                self.transitions.acknowledged.observe(self._event_loop.time() - sent_at)
                if job is not None:
                    self.transitions.note(part.number, offset, before, job)
                if part.unsaved is not None:
                    kept = None if value is None else with_place(value, part.places.get(offset))
                    part.unsaved.rows[offset] = kept
        finally:
            told()  # whatever was wrong: somebody's slot and room hang on it

    def _mark_told(
        self,
        pending: Pending,
        part: Partition,
        key: bytes,
        value: bytes,
        place: int,
        _: int,
        error: Exception | None,
    ) -> None:
        try:
            if error is not None:
                part.lose(f"the mark {key.decode()} was not acknowledged: {error!r}")
            else:
                part.seen(place)
                if part.unsaved is not None:
                    part.unsaved.marks[key] = value
        finally:
            pending.told()


class Pending:
    """What one writing has on its way."""

    __slots__ = ("_loop", "_settled", "_then", "left")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, then: Callable[[], None] | None = None
    ) -> None:
        """``then`` is called when nothing is left, in place of somebody who waits."""
        self.left = 0
        self._loop = loop
        self._then = then
        self._settled: asyncio.Future[None] | None = None

    def told(self) -> None:
        """One is acknowledged, or never will be."""
        self.left -= 1
        if self.left:
            return
        if self._then is not None:
            self._then()
        elif self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    async def settled(self, part: Partition) -> None:
        """Wait until all are.

        Raises:
            PartitionLost: one failed.
        """
        if self.left:
            self._settled = self._loop.create_future()
            await self._settled
        part.check()


def now_ms() -> int:
    """The wall clock, epoch milliseconds; what rows are stamped with."""
    return time.time_ns() // 1_000_000


__all__ = ["Change", "JobTable", "PartitionLost", "now_ms"]
