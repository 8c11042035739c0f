"""Putting jobs on the topic, from this worker: HTTP's, and handlers' follow-ups."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from agents.tracing import submission
from jobs.codec import decode_request
from jobs.model import JobId
from jobs.trace import TRACEPARENT
from log.writer import Entry, Headers, LogWriter

if TYPE_CHECKING:
    from execution.tracing import Tracing


class Submitter:
    """Writes to ``jobs``, to each partition in turn; any worker may write to any of them."""

    def __init__(self, writer: LogWriter, topic: str, partitions: Callable[[], int]) -> None:
        self._writer = writer
        self._topic = topic
        self._partitions = partitions
        # A random start: many workers, each asked once, shouldn't all take partition 0.
        self.tracing: Tracing | None = None
        self._turns = itertools.count(random.randrange(1_000_000))

    async def send(
        self,
        value: bytes,
        timeout_s: float | None = None,
        *,
        partition: int | None = None,
        headers: Headers = (),
        traceparent: str | None = None,
    ) -> JobId:
        """Write a request as it stands; the id of its job, once Kafka has it.

        Args:
            partition: where; each in turn unless given.
            traceparent: of who asks; else it belongs to the attempt that runs here, if any.

        Raises:
            NotWritten: Kafka doesn't acknowledge; the job may have been accepted all the same.
        """
        if partition is None:
            partition = next(self._turns) % self._partitions()
        with submission(self.tracing, traceparent) as carried:
            if carried is not None:
                headers = (*headers, (TRACEPARENT, carried.encode()))
            entry = Entry(partition, None, value, headers)
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
