"""Reruns: the owner's timer puts ``id, attempt`` on ``jobs-retry`` when one is due; it comes back
here, and runs in the slots for reruns.

Delays live in the row, not in a partition's order, so a long delay holds nothing up.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agents.readable import readable
from agents.runner import Runner
from jobs.model import JobId
from log.reader import Record
from log.writer import Entry, LogWriter
from tables.fold import row_key
from tables.partition import Partition


class RerunRecord(msgspec.Struct, frozen=True):
    """The value of a record on ``jobs-retry``."""

    id: str
    attempt: int


_DECODER = msgspec.json.Decoder(RerunRecord)


class Retries:
    """Both ends of the topic ``jobs-retry``."""

    def __init__(self, writer: LogWriter, topic: str) -> None:
        self._writer = writer
        self._topic = topic
        self.runner: Runner | None = None  # set once, by the wiring: each needs the other

    async def ask(self, job_id: JobId, attempt: int) -> None:
        """Ask for a rerun that is due.

        Raises:
            NotWritten: Kafka doesn't acknowledge.
        """
        value = msgspec.json.encode(RerunRecord(str(job_id), attempt))
        await self._writer.write(self._topic, [Entry(job_id.partition, row_key(job_id), value)])

    async def handle(self, part: Partition, records: Sequence[Record]) -> None:
        """Let reruns run. Their rows say all; a crash after this loses nothing."""
        if self.runner is None:
            raise RuntimeError("Retries.runner is not set")
        for job_id, asked in readable(self._topic, part.number, records, _DECODER):
            self.runner.rerun(job_id, asked.attempt)
