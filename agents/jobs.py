"""Intake: records of the topic ``jobs`` become rows.

It never waits for a job to run: a slow job holds up neither its partition, nor the commit, nor
a rebalance. It does wait while as many jobs as allowed are open; the rest stay in Kafka.
"""

from __future__ import annotations

from collections.abc import Sequence

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
        rest = [r for r in records if not self._settled(part, r)]
        known = {r.offset for r in records} - {r.offset for r in rest}
        while rest:
            reserved = await self._runner.reserve(len(rest))
            try:
                known |= await self._admit(part, rest[:reserved])
            finally:
                self._runner.unreserve(reserved)
            rest = rest[reserved:]
        # The place moves on past those that were known, too: not before their rows are durable.
        for offset in known:
            await part.landed(offset)

    async def _admit(self, part: Partition, records: Sequence[Record]) -> set[int]:
        """Write rows of records; the offsets of those that were known already."""
        known: set[int] = set()
        rows: list[Change] = []
        letters: list[Letter] = []
        fired: dict[str, Fired] = {}
        keys: dict[str, int] = {}
        for record in records:
            if self._settled(part, record):  # canceled while we waited for room
                known.add(record.offset)
                continue
            change = self._change(part, record, fired, keys)
            if change.job is not None and change.job.status is Status.FAILED:
                letters.append(Letter(part.number, record, change.job.error or ""))
            rows.append(change)
        # kill -9 here: no row, the place isn't committed; the records are delivered again.
        if letters:
            await self._dead.put(letters)
        # kill -9 here: the letters are written once more, next time. None is lost.
        if rows:
            await self._table.write(part, rows)
        # kill -9 here: the rows are there, the next owner runs them; delivered again, they
        # are known by place and timestamp.
        for change in rows:
            if part.head(change.offset) is not change.job:  # canceled while it was written
                known.add(change.offset)
            self._runner.take_up(part, change.offset)
        return known

    def _change(
        self, part: Partition, record: Record, fired: dict[str, Fired], keys: dict[str, int]
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
        after = before if known else self._first_row(record)
        return Change(record.offset, before, after, mark)

    def _first_row(self, record: Record) -> Job:
        return first_row(record, self._registry, self._max_row_bytes, now_ms())

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
