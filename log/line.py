"""Records of one partition on their way into the log: a batch at a time, in order.

While a batch is on its way, all that comes meanwhile waits and makes the next one. So batches are
as large as the broker is slow, with no time of waiting that anybody would have to choose; and a
record costs no task, no lock and no future of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import RecordMetadata

logger = logging.getLogger(__name__)

Headers = Sequence[tuple[str, bytes]]


class Entry(NamedTuple):
    """A record to write."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Written(NamedTuple):
    """Where a record stands in the log, and its time there (epoch ms)."""

    partition: int
    offset: int
    timestamp: int


Told = Callable[[int, int, Exception | None], object]
"""What is called with a record's place and its time there, when Kafka has acknowledged it; or with
why it hasn't, behind two numbers that say nothing."""

estimate = DefaultRecordBatchBuilder.estimate_size_in_bytes


class Line:
    """What waits for its batch, and the batch that is on its way."""

    def __init__(
        self, producer: Callable[[], AIOKafkaProducer], topic: str, partition: int, timeout_s: float
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._partition = partition
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        # Key, value, headers, whom to tell, and since when it waits. No objects with names: two of
        # these are made for each job.
        self._waiting: deque[tuple[bytes | None, bytes | None, Headers, Told, float]] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, key: bytes | None, value: bytes | None, headers: Headers, told: Told) -> None:
        """Take a record; ``told`` is called in any case, in the order of the log."""
        self._waiting.append((key, value, headers, told, self._loop.time()))
        if self._task is None:
            # Not at once: what else is put in this step of the loop goes with it.
            self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._send()
        finally:
            self._task = None

    async def _send(self) -> None:
        """Send as much of what waits as a batch holds, and wait until Kafka has it."""
        taken: list[tuple[Told, int]] = []
        try:
            producer = self._producer()
            self._refuse_first(producer._max_request_size)
            if not self._waiting:
                return
            batch = producer.create_batch()
            put_at = self._waiting[0][4]
            self._fill(batch, taken)
            if not taken:
                return
            batch.close()
            async with asyncio.timeout_at(put_at + self._timeout_s):
                ack = await self._handed_over(producer, batch)
                # A batch that aiokafka has is its own: it goes on with it whoever waits.
                landed: asyncio.Future[None] = self._loop.create_future()
                ack.add_done_callback(partial(_land, landed))
                await landed
            if ack.cancelled():
                raise KafkaError("aiokafka gave the batch up")
            meta = ack.result()
        except KafkaError as exc:
            self._failed(taken or self._rest(), exc)  # the producer is closed
        except TimeoutError:
            # Those behind have waited as long, and would go on waiting for this one.
            self._failed(taken, KafkaTimeoutError(f"no acknowledgement in {self._timeout_s:g}s"))
            self._failed(self._rest(), KafkaTimeoutError("it waited behind one that timed out"))
        except Exception as exc:
            logger.exception("%s can't be written; please report this", self._topic)
            self._failed([*taken, *self._rest()], KafkaError(repr(exc)))
        else:
            place, at = meta.offset, meta.timestamp
            for told, own_at in taken:
                try:
                    told(place, own_at if at == -1 else at, None)
                except Exception:
                    logger.exception("an acknowledgement can't be told; please report this")
                place += 1

    def _refuse_first(self, most_bytes: int) -> None:
        """Refuse what is too large for a request, up to the first that isn't: what is behind that
        one must fit into its batch, which is less than a request."""
        while self._waiting:
            key, value, headers, told, _ = self._waiting[0]
            if estimate(key, value, list(headers)) <= most_bytes:
                return
            self._waiting.popleft()
            _refuse(told, MessageSizeTooLargeError(f"it has more than {most_bytes} bytes"))

    def _fill(self, batch: BatchBuilder, taken: list[tuple[Told, int]]) -> None:
        waiting = self._waiting
        while waiting:
            key, value, headers, told, _ = waiting[0]
            if headers.__class__ is not list:
                headers = list(headers)
            put = batch.append(timestamp=None, key=key, value=value, headers=headers)
            if put is None and taken:
                return  # full
            waiting.popleft()
            if put is None:  # aiokafka takes the first one of a batch, however large it is
                _refuse(told, MessageSizeTooLargeError("it is larger than a batch"))
                return
            taken.append((told, put.timestamp))

    def _rest(self) -> list[tuple[Told, int]]:
        rest = [(told, 0) for _, _, _, told, _ in self._waiting]
        self._waiting.clear()
        return rest

    def _failed(self, taken: Sequence[tuple[Told, int]], error: KafkaError) -> None:
        for told, _ in taken:
            _refuse(told, error)

    async def _handed_over(
        self, producer: AIOKafkaProducer, batch: BatchBuilder
    ) -> asyncio.Future[RecordMetadata]:
        for known in (False, True):
            try:
                ack: asyncio.Future[RecordMetadata] = await producer.send_batch(
                    batch, self._topic, partition=self._partition
                )
                return ack
            except AssertionError:
                # aiokafka's word for a partition that its metadata hasn't: it may be new.
                if not known:
                    await producer.client.force_metadata_update()
        raise UnknownTopicOrPartitionError(f"the broker knows no {self._topic}-{self._partition}")


def _land(landed: asyncio.Future[None], ack: asyncio.Future[RecordMetadata]) -> None:
    if not ack.cancelled():
        ack.exception()  # what comes late is nobody's, and asyncio would tell us so
    if not landed.done():
        landed.set_result(None)


def _refuse(told: Told, error: Exception) -> None:
    try:
        told(-1, 0, error)
    except Exception:
        logger.exception("a refusal can't be told; please report this")
