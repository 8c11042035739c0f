"""``JobTable``: the only place that writes rows.

Durable, then visible: readers see a row only after Kafka has acknowledged it. What a
``kill -9`` leaves is therefore always some prefix of what was sent, and never a state
that anybody was told of and that is gone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
from aiokafka.errors import KafkaError
from faust.stores import memory
from faust.tables.table import Table
from faust.types import AppT
from yarl import URL

from jobs.codec import encode_row
from jobs.errors import InvalidId
from jobs.model import Job, JobId
from log.writer import Entry, LogWriter
from tables.fold import row_key
from tables.marks import Mark, Swept
from tables.partition import Partition, PartitionLost
from tables.places import prev_header, with_place
from tables.tempo import Tempo
from tables.transitions import Transitions
from worker.app import JobsApp

logger = logging.getLogger(__name__)


class Change(NamedTuple):
    """A row in place of another: ``before`` is the newest row that it was made from, or
    ``None`` if the job had none; ``job`` is ``None`` to remove it. ``mark`` is written right
    before it, so that whoever finds the row finds the mark."""

    offset: int
    before: Job | None
    job: Job | None
    mark: Mark | None = None


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
        write_timeout_s: float,
        known: Callable[[str], bool] = lambda name: True,
    ) -> None:
        """Give the table what it writes with. ``known``: whether a handler is registered."""
        self.transitions = Transitions(known)
        self.tempo = Tempo(now_ms)
        self._writer = writer
        self._write_timeout_s = write_timeout_s

    def _new_store(self) -> JobStore:
        return JobStore(self.app.conf.store, self.app, self, table_name=self.name, loop=self.loop)

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
        await self._guarded(part, self._send(part, changes))

    async def sweep(self, part: Partition, offsets: Sequence[int], swept: Swept) -> None:
        """Remove final rows, after a mark that says up to where.

        A ``kill -9`` between the mark and the last row leaves rows that are swept later.

        Raises:
            PartitionLost: as ``write``.
        """
        changes = [Change(n, part.rows.get(n), None) for n in offsets]
        await self._guarded(part, self._send(part, [changes[0]._replace(mark=swept), *changes[1:]]))

    async def note(self, part: Partition, mark: Mark) -> None:
        """Write a mark alone.

        Raises:
            PartitionLost: as ``write``.
        """
        await self._guarded(part, self._send(part, [], mark))

    async def _guarded(self, part: Partition, sending: Coroutine[Any, Any, None]) -> None:
        try:
            self._check(part)
            # The clock starts when the partition is free: waiting for that is no fault of Kafka.
            async with part.writing(), asyncio.timeout(self._write_timeout_s):
                await sending
            await part.shown()
        except TimeoutError:
            part.lose(f"Kafka didn't acknowledge a row in {self._write_timeout_s:g}s")
        except KafkaError as exc:
            part.lose(f"Kafka refused a row: {exc!r}")
        finally:
            sending.close()
        part.check()

    def _check(self, part: Partition) -> None:
        part.check()
        if self.app.stale():  # then it may have been taken for dead, and writes nothing
            part.lose("no heartbeat was answered for longer than the session timeout")
            part.check()

    async def _send(
        self, part: Partition, changes: Sequence[Change], mark: Mark | None = None
    ) -> None:
        topic = self.changelog_topic.get_topic_name()
        headers = part.fence.headers()
        acks: list[asyncio.Future[Any]] = []

        async def note(mark: Mark) -> None:
            # All that is before it, then the mark, then what is behind it, each acknowledged
            # first: a batch may be lost and the next one written, so to be sent is no order.
            await _settled(part, acks)
            part.marks.put(mark)
            value = msgspec.json.encode(mark)
            ack = await self._writer.send(topic, Entry(part.number, mark.key, value, headers))
            ack.add_done_callback(partial(self._mark_acknowledged, part, mark.key, value))
            await _settled(part, [ack])

        if mark is not None:
            await note(mark)
        for offset, before, job, mark_of_it in changes:
            if mark_of_it is not None:
                await note(mark_of_it)
            # No await between this look and the note: two tasks can't both pass.
            if part.head(offset) is not before:
                continue
            value = None if job is None else encode_row(job)  # before the note: it may raise
            prev = prev_header(part, offset, before, job)
            part.sent(offset, job)
            key = row_key(JobId(part.number, offset))
            entry = Entry(part.number, key, value, headers if prev is None else [*headers, prev])
            ack = await self._writer.send(topic, entry)
            # A callback, not the awaiting task, shows the row: that task may be cancelled
            # between the acknowledgement and its next step.
            sent_at = asyncio.get_running_loop().time()
            ack.add_done_callback(
                partial(self._row_acknowledged, part, offset, before, job, value, sent_at)
            )
            acks.append(ack)
        await _settled(part, acks)

    def _row_acknowledged(
        self,
        part: Partition,
        offset: int,
        before: Job | None,
        job: Job | None,
        value: bytes | None,
        sent_at: float,
        ack: asyncio.Future[Any],
    ) -> None:
        if _acknowledged(part, f"a row of job {part.number}-{offset}", ack):
            part.placed(offset, job, ack.result().offset)
            part.durable(offset, job)
            self.transitions.acknowledged.observe(ack.get_loop().time() - sent_at)
            if job is not None:
                self.transitions.note(part.number, offset, before, job)
                self.tempo.note(before, job)
            if part.unsaved is not None:
                kept = None if value is None else with_place(value, part.places.get(offset))
                part.unsaved.rows[offset] = kept

    def _mark_acknowledged(
        self, part: Partition, key: bytes, value: bytes, ack: asyncio.Future[Any]
    ) -> None:
        if _acknowledged(part, f"the mark {key.decode()}", ack) and part.unsaved is not None:
            part.unsaved.marks[key] = value


async def _settled(part: Partition, acks: Sequence[asyncio.Future[Any]]) -> None:
    """Wait for acknowledgements.

    Raises:
        PartitionLost: one failed.
    """
    # `wait` leaves the futures alone when it is cancelled; `gather` wouldn't.
    if acks:
        await asyncio.wait(acks)
    part.check()


def _acknowledged(part: Partition, what: str, ack: asyncio.Future[Any]) -> bool:
    if ack.cancelled() or ack.exception() is not None:
        error = "cancelled" if ack.cancelled() else repr(ack.exception())
        part.lose(f"{what} was not acknowledged: {error}")
        return False
    part.seen(ack.result().offset)
    return True


def now_ms() -> int:
    """The wall clock, epoch milliseconds; what rows are stamped with."""
    return time.time_ns() // 1_000_000


__all__ = ["Change", "JobTable", "PartitionLost", "now_ms"]
