"""Putting jobs on the topic, from this worker: HTTP's, and handlers' follow-ups."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import msgspec

from jobs.codec import decode_request
from jobs.model import JobId
from log.writer import Entry, LogWriter


class Submitter:
    """Writes to ``jobs``, to each partition in turn; any worker may write to any of them."""

    def __init__(self, writer: LogWriter, topic: str, partitions: Callable[[], int]) -> None:
        self._writer = writer
        self._topic = topic
        self._partitions = partitions
        # A random start: many workers, each asked once, shouldn't all take partition 0.
        self._turns = itertools.count(random.randrange(1_000_000))

    async def send(self, value: bytes, timeout_s: float | None = None) -> JobId:
        """Write a request as it stands; the id of its job, once Kafka has it.

        Raises:
            NotWritten: Kafka doesn't acknowledge; the job may have been accepted all the same.
        """
        partition = next(self._turns) % self._partitions()
        entry = Entry(partition, None, value)
        (meta,) = await self._writer.write(self._topic, [entry], timeout_s)
        return JobId(partition, meta.offset)

    async def submit(self, request: dict[str, Any]) -> JobId:
        """Check a request, and write it.

        Raises:
            InvalidRequest: names the field that is wrong.
            NotWritten: as ``send``.
        """
        value = msgspec.json.encode(request)
        decode_request(value)
        return await self.send(value)
