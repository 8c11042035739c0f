"""Reading the log for an answer: no longer than somebody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiokafka.errors import KafkaError

from log.reader import LogReader, Record, Slice


class NotRead(Exception):
    """Kafka didn't answer, or not in time."""


async def fetch(
    reader: LogReader, topic: str, starts: Mapping[int, int], limit: int, timeout_s: float
) -> dict[int, Slice]:
    """As ``LogReader.fetch``.

    Raises:
        NotRead: not within ``timeout_s``.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await reader.fetch(topic, starts, limit=limit)
    except (TimeoutError, KafkaError) as exc:
        raise NotRead(f"Kafka can't be read ({type(exc).__name__})") from None


async def record(
    reader: LogReader, topic: str, partition: int, offset: int, timeout_s: float
) -> Record | None:
    """The record at one place, or ``None`` where there is none.

    Raises:
        NotRead: not within ``timeout_s``.
    """
    step = (await fetch(reader, topic, {partition: offset}, 1, timeout_s))[partition]
    return next((r for r in step.records if r.offset == offset), None)
