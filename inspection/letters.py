"""Dead letters, as they are read from ``jobs-dead``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jobs.asked import asked_handler
from jobs.errors import InvalidId
from jobs.model import JobId
from log.reader import LogReader, Record
from log.topics import TopicNames

SKEW_MS = 60_000  # how far the clocks of two workers may be apart


class Source(NamedTuple):
    """Where the record was that became a letter."""

    topic: str
    partition: int
    offset: int


class Letter(NamedTuple):
    """A dead letter. ``value``: the original's; ``None`` if it had none, or ``left_out``."""

    place: JobId  # on jobs-dead
    at: int
    job_id: JobId | None
    reason: str
    source: Source | None
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
            asked_handler(record.key, record.value) or None,
            _number(headers.get("attempts")),
            record.value,
            "value-left-out" in headers,
        )


async def letter_of(
    reader: LogReader, names: TopicNames, job_id: JobId, since_ms: int
) -> Letter | None:
    """A job's letter; one that is about as old as ``since_ms`` (epoch ms), or younger, is found
    soon.

    Raises:
        KafkaError: the topic can't be read.
    """
    topic, n = names.dead, job_id.partition
    start, end = await reader.start(topic, n), await reader.end(topic, n)
    middle = await reader.since(topic, n, since_ms - SKEW_MS)
    newer = await _find(reader, names, job_id, middle, end)
    return newer or await _find(reader, names, job_id, start, middle)


async def _find(
    reader: LogReader, names: TopicNames, job_id: JobId, place: int, stop: int
) -> Letter | None:
    n = job_id.partition
    while place < stop:
        step = (await reader.fetch(names.dead, {n: place}))[n]
        for record in step.records:
            letter = Letter.of(n, record, names.jobs)
            if letter.job_id == job_id:
                return letter
        if step.next <= place:
            break
        place = step.next
    return None


def _job_id(source: Source | None, record: Record, jobs: str) -> JobId | None:
    if source is not None:
        if source.topic != jobs:
            return None
        return JobId(source.partition, source.offset)
    try:
        return JobId.parse(_text(record.key))
    except InvalidId:
        return None


def _source(headers: Mapping[str, str]) -> Source | None:
    topic = headers.get("source-topic")
    partition = _number(headers.get("source-partition"))
    offset = _number(headers.get("source-offset"))
    if topic is None or partition is None or offset is None:
        return None
    return Source(topic, partition, offset)


def _number(text: str | None) -> int | None:
    ascii_digits = text is not None and text.isascii() and text.isdigit() and len(text) <= 18
    return int(text) if text is not None and ascii_digits else None


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "replace")


def headers_of(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str | None]:
    """A record's headers as text."""
    return {name: None if value is None else _text(value) for name, value in headers}
