"""Dead letters, as they are read from ``jobs-dead``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aiokafka.errors import KafkaError

from agents.readable import asked_handler
from jobs.errors import InvalidId
from jobs.model import JobId
from log.backwards import Tail
from log.reader import LogReader, Record
from log.topics import TopicNames
from web import render, shapes
from web.reading import NotRead

READ_S = 5.0
SKEW_MS = 60_000  # how far the clocks of two workers may be apart
MOST_AT_ONCE = 200  # letters of a partition; they may be large


class Letter(NamedTuple):
    """A dead letter. ``value``: the original's; ``None`` if it had none, or ``left_out``."""

    place: JobId  # on jobs-dead
    at: int
    job_id: JobId | None
    reason: str
    source: shapes.Source | None
    handler: str | None
    attempts: int | None
    value: bytes | None
    left_out: bool

    @classmethod
    def of(cls, partition: int, record: Record, jobs: str) -> Letter:
        """Read a record, whoever wrote it. ``jobs``: the name of that topic."""
        headers = {name: _text(value) for name, value in record.headers}
        source = _source(headers)
        return cls(
            JobId(partition, record.offset),
            record.timestamp,
            _job_id(source, record, jobs),
            headers.get("reason", ""),
            source,
            asked_handler(record) or None,
            _number(headers.get("attempts")),
            record.value,
            "value-left-out" in headers,
        )

    def told(self) -> shapes.DeadLetter:
        """As it stands in a list."""
        return shapes.DeadLetter(
            partition=self.place.partition,
            offset=self.place.offset,
            id=None if self.job_id is None else str(self.job_id),
            at=render.time(self.at),
            reason=self.reason,
            source=self.source,
            handler=self.handler,
            attempts=self.attempts,
        )


class Letters:
    """Finds dead letters. Any worker can: the topic has all of them."""

    def __init__(self, reader: LogReader, names: TopicNames) -> None:
        self._reader = reader
        self._names = names

    async def newest(
        self, partitions: int, before: Mapping[int, int], limit: int
    ) -> tuple[list[Letter], dict[int, int] | None]:
        """Letters, the newest first, and where to go on; ``None``: there are no more.

        Args:
            before: partition → only letters before this place; all where none is named.

        Raises:
            NotRead: Kafka can't be read, or not in time.
        """
        try:
            async with asyncio.timeout(READ_S):
                return await self._newest(partitions, before, limit)
        except (TimeoutError, KafkaError) as exc:
            raise NotRead(f"{self._names.dead} can't be read ({type(exc).__name__})") from None

    async def _newest(
        self, partitions: int, before: Mapping[int, int], limit: int
    ) -> tuple[list[Letter], dict[int, int] | None]:
        topic, numbers = self._names.dead, range(partitions)
        starts = await self._reader.starts(topic, numbers)
        ends = await self._reader.ends(topic, numbers)
        at_once = min(MOST_AT_ONCE, max(10, limit // partitions))
        tails = [
            Tail(self._reader, topic, n, starts[n], min(ends[n], before.get(n, ends[n])), at_once)
            for n in numbers
        ]
        await asyncio.gather(*(tail.fill() for tail in tails))
        found: list[Letter] = []
        places = {n: place for n, place in before.items() if n < partitions}
        while heads := [(tail.head.timestamp, tail) for tail in tails if tail.head is not None]:
            if len(found) == limit:
                return found, places
            _, tail = max(heads, key=lambda head: head[0])
            found.append(Letter.of(tail.partition, tail.take(), self._names.jobs))
            places[tail.partition] = tail.before
            await tail.fill()
        return found, None

    async def of_job(self, job_id: JobId, since_ms: int) -> Letter | None:
        """A job's letter; one that is about as old as ``since_ms`` (epoch ms), or younger, is
        found soon.

        Raises:
            NotRead: Kafka can't be read, or not in time.
        """
        try:
            async with asyncio.timeout(READ_S):
                topic, n = self._names.dead, job_id.partition
                start = await self._reader.start(topic, n)
                end = await self._reader.end(topic, n)
                middle = await self._reader.since(topic, n, since_ms - SKEW_MS)
                return await self._find(job_id, middle, end) or await self._find(
                    job_id, start, middle
                )
        except (TimeoutError, KafkaError) as exc:
            text = f"the dead letter of job {job_id} can't be looked for ({type(exc).__name__})"
            raise NotRead(text) from None

    async def _find(self, job_id: JobId, place: int, stop: int) -> Letter | None:
        n = job_id.partition
        while place < stop:
            step = (await self._reader.fetch(self._names.dead, {n: place}))[n]
            for record in step.records:
                letter = Letter.of(n, record, self._names.jobs)
                if letter.job_id == job_id:
                    return letter
            if step.next <= place:
                break
            place = step.next
        return None


def _job_id(source: shapes.Source | None, record: Record, jobs: str) -> JobId | None:
    if source is not None:
        if source.topic != jobs:
            return None
        return JobId(source.partition, source.offset)
    try:
        return JobId.parse(_text(record.key))
    except InvalidId:
        return None


def _source(headers: Mapping[str, str]) -> shapes.Source | None:
    topic = headers.get("source-topic")
    partition = _number(headers.get("source-partition"))
    offset = _number(headers.get("source-offset"))
    if topic is None or partition is None or offset is None:
        return None
    return shapes.Source(topic, partition, offset)


def _number(text: str | None) -> int | None:
    ascii_digits = text is not None and text.isascii() and text.isdigit() and len(text) <= 18
    return int(text) if text is not None and ascii_digits else None


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "replace")


def headers_of(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str | None]:
    """A record's headers as text."""
    return {name: None if value is None else _text(value) for name, value in headers}
