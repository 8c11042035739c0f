"""Jobs of the log once more, as new jobs that say whose replays they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from jobs.codec import decode_request
from jobs.errors import InvalidRequest
from jobs.labels import Labels
from jobs.limits import Rate
from jobs.model import JobId
from jobs.registry import DEFAULT_HANDLER, Registry
from log.writer import Entry, LogWriter, NotWritten
from submission.putting import Refused, put

TOGETHER = 500  # at most


class Original(NamedTuple):
    """What a job was asked for, as it stands in the log."""

    job_id: JobId
    value: bytes


class Resender:
    """Sends originals once more, into their own partitions."""

    def __init__(
        self, writer: LogWriter, topic: str, name: str, rate: Rate | None, timeout_s: float
    ) -> None:
        self._writer = writer
        self._topic = topic
        self._name = name
        self._gap_s = 0.0 if rate is None else rate.seconds / rate.count
        self._next_at = 0.0
        self._timeout_s = timeout_s
        # With a rate, no more at once than come in a quarter of a second.
        self.together = min(TOGETHER, max(1, int(0.25 / self._gap_s))) if rate else TOGETHER

    async def send(self, originals: Sequence[Original]) -> list[JobId]:
        """Send some when it is their time; their new ids when Kafka has all of them.

        kill -9: any of them may be in the log. They stand behind their originals and say whose
        replays they are, so who goes on finds them.

        Raises:
            NotWritten: Kafka doesn't acknowledge.
        """
        await self._turn(len(originals))
        try:
            entries = [self._entry(each) for each in originals]
            metas = await put(self._writer, self._topic, entries, self._timeout_s)
        except Refused as exc:
            job_id = originals[exc.index].job_id
            raise NotWritten(f"Kafka refused the replay of job {job_id}: {exc.error!r}") from None
        return [JobId(meta.partition, meta.offset) for meta in metas]

    async def _turn(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        wait_s = self._next_at - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._next_at = max(loop.time(), self._next_at) + count * self._gap_s

    def _entry(self, original: Original) -> Entry:
        labels = Labels.made(original.value, self._name, str(original.job_id))
        return Entry(original.job_id.partition, None, original.value, labels.headers())


def runnable(value: bytes | None, registry: Registry) -> str | None:
    """Why a job would fail again before its first attempt; ``None``: it wouldn't, or only workers
    know its handler."""
    if not value:
        return "its record is empty, and asks for nothing"
    try:
        request = decode_request(value)
        handler = registry.get(request.handler or DEFAULT_HANDLER)
        if handler is not None:
            handler.check(request.data)
    except InvalidRequest as exc:
        return f"it would fail again: {exc}"
    return None


async def in_turns(sources: Sequence[AsyncIterator[Original]]) -> AsyncIterator[Original]:
    """One of each partition after the other, so that all workers get some."""
    left = list(sources)
    while left:
        for source in list(left):
            try:
                yield await anext(source)
            except StopAsyncIteration:
                left.remove(source)
