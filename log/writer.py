"""Writing to the log: records to a named partition, told of when Kafka has acknowledged them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from log.line import Entry, Headers, Line, Told, Written


class NotWritten(Exception):
    """Kafka didn't acknowledge in time. The record may still appear in the log later."""


class LogWriter:
    """Hands batches to the producer, one after another for each partition.

    Faust's own path (``ProducerBuffer``) sends one message after another and only logs a
    failed delivery. aiokafka's own for single records lets one that fits into a partition's batch
    overtake one that waits for the next batch, and takes several times as long for each.
    """

    def __init__(self, producer: Callable[[], AIOKafkaProducer], timeout_s: float) -> None:
        """``producer``: its ``max_batch_size`` is no more than its ``max_request_size``.
        ``timeout_s``: how long a record may wait for its acknowledgement."""
        self._producer = producer
        self._timeout_s = timeout_s
        self._lines: dict[tuple[str, int], Line] = {}

    def put(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        told: Told,
    ) -> None:
        """Take a record to write. ``told`` is called when Kafka has acknowledged it, or with a
        ``KafkaError``; never at once.

        Records of one partition get into the log in the order of the calls.
        """
        self.line(topic, partition).put(key, value, headers, told)

    def line(self, topic: str, partition: int) -> Line:
        """Where ``put`` takes records of one partition: for who writes many, always the same."""
        line = self._lines.get((topic, partition))
        if line is None:
            line = Line(self._producer, topic, partition, self._timeout_s)
            self._lines[topic, partition] = line
        return line

    def send(self, topic: str, entry: Entry) -> asyncio.Future[Written]:
        """As ``put``; the future is done when ``told`` would be called."""
        done: asyncio.Future[Written] = asyncio.get_running_loop().create_future()

        def told(offset: int, timestamp: int, error: Exception | None) -> None:
            if done.done():
                return  # nobody waits for it any more
            if error is None:
                done.set_result(Written(entry.partition, offset, timestamp))
            else:
                done.set_exception(error)

        self.put(topic, *entry, told)
        return done

    async def write(
        self, topic: str, entries: Iterable[Entry], timeout_s: float | None = None
    ) -> list[Written]:
        """Send records and wait until all are acknowledged.

        Raises:
            NotWritten: not all were, within ``timeout_s`` (else the writer's own limit).
        """
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.gather(*[self.send(topic, entry) for entry in entries])
        except TimeoutError:
            raise NotWritten(f"Kafka didn't acknowledge in {limit_s:g}s ({topic})") from None
        except KafkaError as exc:
            raise NotWritten(f"Kafka refused a record of {topic}: {exc!r}") from exc


__all__ = ["Entry", "Headers", "LogWriter", "NotWritten", "Told", "Written"]
