"""Intake: records of the topic ``jobs`` become rows.

It never waits for a job to run: a slow job holds up neither its partition, nor the commit, nor
a rebalance. It does wait while as many jobs as allowed are open; the rest stay in Kafka.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from agents.admission import first_row
from agents.dead import DeadLetters, Letter
from agents.runner import Runner
from jobs import state
from jobs.asked import asked_handler
from jobs.labels import Labels
from jobs.model import Job, JobId, ScheduledRun, Status
from jobs.registry import Registry
from log.reader import Record
from tables.jobs import Change, JobTable, now_ms
from tables.marks import Fired
from tables.partition import Partition


class Flight:
    """What one batch of records has on its way."""

    def __init__(self) -> None:
        self.known: set[int] = set()  # records that had a row already, or got another one
        self.left = 0
        self._landed: asyncio.Future[None] | None = None

    def landed(self) -> None:
        """Some rows are visible, or the lease has ended."""
        self.left -= 1
        if not self.left and self._landed is not None and not self._landed.done():
            self._landed.set_result(None)

    async def over(self) -> None:
        """Wait until nothing is on its way."""
        if self.left:
            self._landed = asyncio.get_running_loop().create_future()
            await self._landed


class Intake:
    """Admits records."""

    def __init__(
        self,
        table: JobTable,
        runner: Runner,
        dead: DeadLetters,
        registry: Registry,
        max_row_bytes: int,
    ) -> None:
        self._table = table
        self._runner = runner
        self._dead = dead
        self._registry = registry
        self._max_row_bytes = max_row_bytes

    async def handle(self, part: Partition, records: Sequence[Record]) -> None:
        """Make rows of records, durably, and let their jobs run.

        Raises:
            PartitionLost: the partition is no longer ours.
            NotWritten: Kafka doesn't acknowledge dead letters.
        """
        rest = [r for r in records if part.unheard_of(r.offset) or not self._settled(part, r)]
        known = {r.offset for r in records} - {r.offset for r in rest} if rest != records else set()
        flight = Flight()
        while rest and part.alive:
            reserved = await self._runner.room.reserve(len(rest))
            try:
                await self._admit(part, rest[:reserved], flight)
            except BaseException:
                self._runner.room.unreserve(reserved)
                raise
            rest = rest[reserved:]
        await flight.over()
        part.check()
        # The place moves on past those that were known, too: not before their rows are durable.
        for offset in known | flight.known:
            await part.landed(offset)

    async def _admit(self, part: Partition, records: Sequence[Record], flight: Flight) -> None:
        """Write rows of records, for whose jobs room is reserved."""
        rows: list[Change] = []
        letters: list[Letter] = []
        fired: dict[str, Fired] = {}
        keys: dict[str, int] = {}
        now = now_ms()
        for record in records:
            if not record.headers and part.unheard_of(record.offset):  # as nearly all
                change = Change(record.offset, None, self._first_row(record, now))
            elif self._settled(part, record):  # canceled while we waited for room
                flight.known.add(record.offset)
                continue
            else:
                change = self._change(part, record, fired, keys, now)
            if change.job is not None and change.job.status is Status.FAILED:
                letters.append(Letter(part.number, record, change.job.error or ""))
            rows.append(change)
        # kill -9 here: no row, the place isn't committed; the records are delivered again.
        if letters:
            await self._dead.put(letters)
        # kill -9 here: the letters are written once more, next time. None is lost.
        begun: set[int] = set()
        done = partial(self._admitted, part, rows, begun, len(records), flight)
        flight.left += 1
        try:
            marked = any(change.mark is not None for change in rows)
            if marked or not self._put(part, rows, begun, done):
                await self._table.write(part, rows)
                done()
        except BaseException:
            flight.left -= 1
            raise

    def _put(
        self, part: Partition, rows: list[Change], begun: set[int], done: Callable[[], None]
    ) -> bool:
        """Send rows; those of jobs that can begin at once say so. False: they can't be sent now."""
        if not part.alive or not part.open:
            return False
        now = now_ms()
        for n, change in enumerate(rows):
            if change.before is None and change.job is not None:
                row = self._runner.start(part, change.offset, change.job, now)
                if row is not None:
                    rows[n] = Change(change.offset, None, row)
                    begun.add(change.offset)
        try:
            if not self._table.put(part, rows, done):
                done()  # the lease has ended
        except BaseException:
            for offset in begun:
                self._runner.go(part, offset)  # without its row: it gives the slot back
            raise
        return True

    def _admitted(
        self,
        part: Partition,
        rows: Sequence[Change],
        begun: set[int],
        reserved: int,
        flight: Flight,
    ) -> None:
        # kill -9 here: the rows are there, the next owner runs them; delivered again, they
        # are known by place and timestamp.
        self._runner.room.unreserve(reserved)
        for change in rows:
            offset = change.offset
            if offset in begun:
                if not self._runner.go(part, offset):
                    flight.known.add(offset)
            elif part.alive:
                if part.head(offset) is not change.job:  # canceled while it was written
                    flight.known.add(offset)
                self._runner.take_up(part, offset)
        flight.landed()

    def _change(
        self,
        part: Partition,
        record: Record,
        fired: dict[str, Fired],
        keys: dict[str, int],
        now: int,
    ) -> Change:
        """The row of a record. ``fired`` and ``keys``: what the records before it will leave as
        marks, and as jobs with idempotency keys."""
        before = part.head(record.offset)  # canceled unread, or of a topic that was made again
        known = self._known(part, record)
        labels = Labels.of(record.headers, record.value)
        key = labels.scoped
        if key is not None and not known:
            first = keys.setdefault(key, _holder(part, key, record.offset))
            if first != record.offset:
                # kill -9 after this row and before the first one's: that is read again, and has
                # the key, since rows are decided in the order of the log.
                row = _repeated_key(part, record, first, labels)
                return Change(record.offset, before, row)
        mark: Fired | None = None
        run = ScheduledRun.of(record.headers)
        if run is not None:
            last = fired.get(run.schedule) or part.marks.fired.get(run.schedule)
            if last is not None and last.covers(run.at, record.offset):
                return Change(record.offset, before, before if known else _repeated(record, last))
            # kill -9 between the mark and the row: the mark has this offset, so the record is
            # no repetition when it is delivered again.
            mark = Fired.after(last, run.schedule, run.at, record.offset)
            fired[run.schedule] = mark
        after = before if known else self._first_row(record, now)
        return Change(record.offset, before, after, mark)

    def _first_row(self, record: Record, now: int) -> Job:
        return first_row(record, self._registry, self._max_row_bytes, now)

    def _settled(self, part: Partition, record: Record) -> bool:
        """Whether nothing is left to do with a record: its row is there, and its mark if it is
        a scheduled job (one that was canceled before it was read has the row only)."""
        if not self._known(part, record):
            return False
        run = ScheduledRun.of(record.headers)
        if run is None or part.head(record.offset) is None:
            return True
        last = part.marks.fired.get(run.schedule)
        return last is not None and last.has(run.at)

    def _known(self, part: Partition, record: Record) -> bool:
        """Whether the record has been admitted before. A record of the same place with another
        timestamp is another job: the topic was made again."""
        row = part.head(record.offset)
        if row is not None:
            return row.submitted_at == record.timestamp
        return part.was_swept(record.offset, record.timestamp)


def _holder(part: Partition, key: str, offset: int) -> int:
    """The first job in the log with the key of the record at ``offset``, as far as rows tell."""
    held = part.holder(key)
    return offset if held is None else min(offset, held[0])


def _repeated_key(part: Partition, record: Record, first: int, labels: Labels) -> Job:
    """The row of a record whose key an earlier one has: a worker that was no longer the owner
    wrote one of them, or another program did."""
    return state.repeated(
        handler=asked_handler(record.key, record.value),
        submitted_at=record.timestamp,
        now=now_ms(),
        first=JobId(part.number, first),
        replay_of=labels.replay_of,
    )


def _repeated(record: Record, last: Fired) -> Job:
    """The row of a scheduled job that has been admitted before: two owners may send one run."""
    why = f"its run of this time has been admitted before (the last one at offset {last.offset})"
    who = f"schedule {last.schedule!r}"
    return state.canceled_unread(
        handler=asked_handler(record.key, record.value),
        submitted_at=record.timestamp,
        now=now_ms(),
        who=who,
        why=why,
    )
