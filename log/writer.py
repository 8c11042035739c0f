"""Writing to the log: records to a named partition, awaited until Kafka has acknowledged them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from aiokafka.structs import RecordMetadata

Headers = Sequence[tuple[str, bytes]]


class NotWritten(Exception):
    """Kafka didn't acknowledge in time. The record may still appear in the log later."""


class Entry(NamedTuple):
    """A record to write."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class LogWriter:
    """Sends straight to the producer, which batches what waits for one partition.

    Faust's own path (``ProducerBuffer``) sends one message after another and only logs a
    failed delivery; rows need the producer's own future.
    """

    def __init__(self, producer: Callable[[], AIOKafkaProducer], timeout_s: float) -> None:
        self._producer = producer
        self._timeout_s = timeout_s
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def send(self, topic: str, entry: Entry) -> asyncio.Future[RecordMetadata]:
        """Hand one record to the producer; the future is done when Kafka has acknowledged it.

        Records of one partition get into the log in the order of the calls.
        """
        partition, key, value, headers = entry
        # One at a time: aiokafka lets a record that fits into a partition's batch overtake one
        # that waits for the next batch, and a job's old row could come behind its new one.
        async with self._turns[topic, partition]:
            for known in (False, True):
                try:
                    ack: asyncio.Future[RecordMetadata] = await self._producer().send(
                        topic, value=value, key=key, partition=partition, headers=list(headers)
                    )
                    return ack
                except AssertionError:
                    # aiokafka's word for a partition that its metadata hasn't: it may be new.
                    if not known:
                        await self._producer().client.force_metadata_update()
        raise UnknownTopicOrPartitionError(f"the broker knows no {topic}-{partition}")

    async def write(
        self, topic: str, entries: Iterable[Entry], timeout_s: float | None = None
    ) -> list[RecordMetadata]:
        """Send records and wait until all are acknowledged.

        Raises:
            NotWritten: not all were, within ``timeout_s`` (else the writer's own limit).
        """
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit_s):
                sent = [await self.send(topic, entry) for entry in entries]
                return await asyncio.gather(*sent)
        except TimeoutError:
            raise NotWritten(f"Kafka didn't acknowledge in {limit_s:g}s ({topic})") from None
        except KafkaError as exc:
            raise NotWritten(f"Kafka refused a record of {topic}: {exc!r}") from exc
