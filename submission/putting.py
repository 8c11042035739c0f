"""Some records, written together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from log.writer import Entry, LogWriter, NotWritten, Written


class Refused(Exception):
    """Kafka takes all but one of them, perhaps: the one at ``index``."""

    def __init__(self, index: int, error: BaseException) -> None:
        super().__init__(str(error) or type(error).__name__)
        self.index = index
        self.error = error


async def put(
    writer: LogWriter, topic: str, entries: Sequence[Entry], timeout_s: float
) -> list[Written]:
    """Write them, and wait until Kafka has all of them.

    Raises:
        NotWritten: it doesn't say so in time; any of them may be in the log.
        Refused: it doesn't take one; any of the others may be in the log.
    """
    try:
        async with asyncio.timeout(timeout_s):
            acks = [writer.send(topic, entry) for entry in entries]
            metas: list[Any] = await asyncio.gather(*acks, return_exceptions=True)
    except TimeoutError:
        raise NotWritten(f"Kafka didn't acknowledge in {timeout_s:g}s ({topic})") from None
    for index, meta in enumerate(metas):
        if isinstance(meta, BaseException):
            raise Refused(index, meta) from None
    return metas
