"""Dead letters as workers list them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiokafka.errors import KafkaError

from inspection.letters import Letter, letter_of
from jobs.model import JobId
from log.backwards import Tail
from log.reader import LogReader
from log.topics import TopicNames
from web import render, shapes
from web.reading import NotRead

READ_S = 5.0
MOST_AT_ONCE = 200  # letters of a partition; they may be large


def told(letter: Letter) -> shapes.DeadLetter:
    """A letter as it stands in a list."""
    return shapes.DeadLetter(
        partition=letter.place.partition,
        offset=letter.place.offset,
        id=None if letter.job_id is None else str(letter.job_id),
        at=render.time(letter.at),
        reason=letter.reason,
        source=None if letter.source is None else shapes.Source(*letter.source),
        handler=letter.handler,
        attempts=letter.attempts,
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
        """A job's letter, as ``letter_of``.

        Raises:
            NotRead: Kafka can't be read, or not in time.
        """
        try:
            async with asyncio.timeout(READ_S):
                return await letter_of(self._reader, self._names, job_id, since_ms)
        except (TimeoutError, KafkaError) as exc:
            text = f"the dead letter of job {job_id} can't be looked for ({type(exc).__name__})"
            raise NotRead(text) from None
