"""Dead letters: what can't be run or has used up its reruns, kept with the reason."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from jobs.model import Job, JobId
from log.reader import LogReader, Record
from log.writer import Entry, LogWriter
from tables.fold import row_key

logger = logging.getLogger(__name__)


class Letter(NamedTuple):
    """A record to put aside. Its value goes along as it was. ``attempts``: those that were
    begun and have failed."""

    partition: int
    record: Record
    reason: str
    attempts: int = 0


class DeadLetters:
    """Writes to ``jobs-dead``, under the job's id.

    A crash after the letter and before the row writes the letter twice.
    """

    def __init__(
        self, reader: LogReader, writer: LogWriter, jobs: str, dead: str, max_value_bytes: int
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._jobs = jobs
        self._dead = dead
        self._max_value_bytes = max_value_bytes
        self.letters = 0  # written since the start

    async def put(self, letters: Sequence[Letter]) -> None:
        """Write letters and wait until they are durable.

        Raises:
            NotWritten: Kafka doesn't acknowledge.
        """
        await self._writer.write(self._dead, [self._entry(letter) for letter in letters])
        self.letters += len(letters)

    async def put_job(self, job_id: JobId, job: Job, data: bytes | None) -> None:
        """Write the letter of an admitted job, with its record as it stands in the log.

        Args:
            job: the row that says why.
            data: the former row's, for a record that has left the log.

        Raises:
            NotWritten: Kafka doesn't acknowledge.
            KafkaError: Kafka can't be read.
        """
        record = await self._reader.record(self._jobs, *job_id)
        if record is None:
            made = {"handler": job.handler, "data": msgspec.Raw(data or b"null")}
            value = msgspec.json.encode(made) if data is not None else None
            record = Record(job_id.offset, 0, None, value, ())
        await self.put([Letter(job_id.partition, record, job.error or "", job.attempt)])

    def _entry(self, letter: Letter) -> Entry:
        record = letter.record
        headers = [
            ("reason", letter.reason.encode("utf-8", "replace")),
            ("source-topic", self._jobs.encode()),
            ("source-partition", b"%d" % letter.partition),
            ("source-offset", b"%d" % record.offset),
            ("attempts", b"%d" % letter.attempts),
        ]
        if record.key is not None:
            headers.append(("source-key", record.key))
        value = record.value
        if value is not None and len(value) > self._max_value_bytes:
            headers.append(("value-left-out", b"%d bytes; the source record has it" % len(value)))
            value = None
        # Never both null: the client refuses such a record, though others may write them.
        key = row_key(JobId(letter.partition, record.offset))
        return Entry(letter.partition, key, value, headers)
