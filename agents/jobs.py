"""Intake: records of the topic ``jobs`` become rows.

It never waits for a job to run: a slow job holds up neither its partition, nor the commit, nor
a rebalance. It does wait while as many jobs as allowed are open; the rest stay in Kafka.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.dead import DeadLetters, Letter
from agents.runner import Runner
from jobs import state
from jobs.codec import decode_record
from jobs.errors import InvalidRequest
from jobs.model import Job, Malformed
from jobs.registry import DEFAULT_HANDLER, Registry
from log.reader import Record
from tables.jobs import Change, JobTable, now_ms
from tables.partition import Partition

_ROW_OVERHEAD = 4_000  # bytes of a row besides its data, error text included


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
        self._max_data_bytes = max_row_bytes - _ROW_OVERHEAD

    async def handle(self, part: Partition, records: Sequence[Record]) -> None:
        """Make rows of records, durably, and let their jobs run.

        Raises:
            PartitionLost: the partition is no longer ours.
            NotWritten: Kafka doesn't acknowledge dead letters.
        """
        rest = [r for r in records if not self._known(part, r)]
        while rest:
            reserved = await self._runner.reserve(len(rest))
            try:
                await self._admit(part, rest[:reserved])
            finally:
                self._runner.unreserve(reserved)
            rest = rest[reserved:]

    async def _admit(self, part: Partition, records: Sequence[Record]) -> None:
        rows: list[Change] = []
        letters: list[Letter] = []
        for record in records:
            if self._known(part, record):  # canceled while we waited for room
                continue
            job = self._first_row(record)
            if job.status.final:
                letters.append(Letter(part.number, record, job.error or ""))
            before = part.head(record.offset)  # of a topic that was made again, if any
            rows.append(Change(record.offset, before, job))
        # kill -9 here: no row, the place isn't committed; the records are delivered again.
        if letters:
            await self._dead.put(letters)
        # kill -9 here: the letters are written once more, next time. None is lost.
        if rows:
            await self._table.write(part, rows)
        # kill -9 here: the rows are there, the next owner runs them; delivered again, they
        # are known by place and timestamp.
        for change in rows:
            self._runner.take_up(part, change.offset)

    def _known(self, part: Partition, record: Record) -> bool:
        """Whether the record has been admitted before. A record of the same place with another
        timestamp is another job: the topic was made again."""
        row = part.head(record.offset)
        if row is not None:
            return row.submitted_at == record.timestamp
        return record.offset < part.swept.next and record.timestamp <= part.swept.at

    def _first_row(self, record: Record) -> Job:
        request = decode_record(record.key, record.value)
        if not isinstance(request, Malformed):
            name = request.handler or DEFAULT_HANDLER
            handler = self._registry.get(name)
            size = len(request.data)
            if handler is None:
                known = self._registry.names()
                request = Malformed(f"handler: no handler is named {name!r} (known: {known})", name)
            elif size > self._max_data_bytes:
                request = Malformed(
                    f"data: {size} bytes are more than a row can hold ({self._max_data_bytes}); "
                    "raise JOBS_MAX_ROW and the changelog's max.message.bytes, or send a reference",
                    name,
                )
            else:
                try:
                    handler.check(request.data)
                except InvalidRequest as exc:
                    request = Malformed(str(exc), name)
                else:
                    return state.admit(
                        request,
                        handler=name,
                        submitted_at=record.timestamp,
                        ttl=handler.reruns,
                        timeout_ns=handler.timeout_ns,
                    )
        return state.reject(request, submitted_at=record.timestamp, now=now_ms())
