"""Cancels: a record on ``jobs-cancel`` reaches the job's owner by its partition."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from agents.readable import readable
from agents.runner import Runner
from jobs import state
from jobs.asked import asked_handler
from jobs.labels import Labels
from jobs.model import JobId
from log.reader import LogReader, Record
from log.writer import Entry, LogWriter
from tables.fold import row_key
from tables.jobs import Change, JobTable, now_ms
from tables.partition import Partition, PartitionLost

MAX_WHY_CHARS = 500


class CancelRecord(msgspec.Struct, frozen=True):
    """The value of a record on ``jobs-cancel``: which job, who asks, and why."""

    id: str
    who: str = "somebody"
    why: str = ""


_DECODER = msgspec.json.Decoder(CancelRecord)


def entry(job_id: JobId, who: str, why: str) -> Entry:
    """A record on ``jobs-cancel``, in the job's partition: by that it reaches the owner."""
    value = msgspec.json.encode(CancelRecord(str(job_id), who, why))
    return Entry(job_id.partition, row_key(job_id), value)


class Cancels:
    """Both ends of the topic ``jobs-cancel``."""

    def __init__(
        self,
        table: JobTable,
        runner: Runner,
        reader: LogReader,
        writer: LogWriter,
        topics: tuple[str, str],
        places: Mapping[int, int],
    ) -> None:
        """``topics``: jobs and jobs-cancel; ``places``: the next place that intake handles."""
        self._table = table
        self._runner = runner
        self._reader = reader
        self._writer = writer
        self._jobs, self._topic = topics
        self._places = places

    async def ask(self, job_id: JobId, who: str, why: str, timeout_s: float | None = None) -> None:
        """Ask for a job to be canceled.

        Raises:
            NotWritten: Kafka doesn't acknowledge.
        """
        await self._writer.write(self._topic, [entry(job_id, who, why)], timeout_s)

    async def handle(self, part: Partition, records: Sequence[Record]) -> None:
        """Carry cancels out; all are recorded when this returns.

        Raises:
            PartitionLost: the partition is no longer ours; the next owner reads the record.
            KafkaError: Kafka can't be read.
        """
        # Side by side: a handler that is slow to stop holds up no other job's cancel.
        try:
            async with asyncio.TaskGroup() as group:
                for job_id, asked in readable(self._topic, part.number, records, _DECODER):
                    group.create_task(self._carry_out(part, job_id, asked))
        except BaseExceptionGroup as failed:
            lost = (exc for exc in failed.exceptions if isinstance(exc, PartitionLost))
            raise next(lost, failed.exceptions[0]) from None

    async def _carry_out(self, part: Partition, job_id: JobId, asked: CancelRecord) -> None:
        if part.head(job_id.offset) is not None:
            await self._runner.cancel(part, job_id.offset, asked.who, asked.why)
        elif job_id.offset >= self._places.get(part.number, 0):
            await self._cancel_unread(part, job_id, asked)

    async def _cancel_unread(self, part: Partition, job_id: JobId, asked: CancelRecord) -> None:
        """Leave a row for a job that intake hasn't read; intake knows it by its timestamp."""
        record = await self._reader.record(self._jobs, *job_id)
        if part.head(job_id.offset) is not None:  # intake read it meanwhile
            await self._runner.cancel(part, job_id.offset, asked.who, asked.why)
        elif record is not None and not part.was_swept(record.offset, record.timestamp):
            row = state.canceled_unread(
                handler=asked_handler(record.key, record.value),
                submitted_at=record.timestamp,
                now=now_ms(),
                who=asked.who,
                why=asked.why,
                labels=Labels.of(record.headers, record.value),
            )
            await self._table.write(part, [Change(job_id.offset, None, row)])
            if part.head(job_id.offset) is not row:  # intake was quicker
                await self._runner.cancel(part, job_id.offset, asked.who, asked.why)
