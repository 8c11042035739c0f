"""Reading a topic backwards, which Kafka has no request for."""

from __future__ import annotations

from collections import deque

from log.reader import LogReader, Record


class Tail:
    """The records of one partition before a place, the last one first.

    ``head`` is the next one, ``None`` when there is none (any more), or before ``fill``.
    """

    def __init__(
        self, reader: LogReader, topic: str, partition: int, start: int, before: int, step: int
    ) -> None:
        """``start``: the first place to read; ``step``: places to read at once."""
        self.partition = partition
        self.before = before  # all places from here on have been taken, or are behind
        self._reader = reader
        self._topic = topic
        self._start = start
        self._step = step
        self._read = before
        self._ready: deque[Record] = deque()

    @property
    def head(self) -> Record | None:
        """The next record."""
        return self._ready[0] if self._ready else None

    async def fill(self) -> None:
        """See to it that there is a head, if there is a record left.

        Raises:
            KafkaError: it can't be read.
        """
        while not self._ready and self._read > self._start:
            first = max(self._start, self._read - self._step)
            records = await self._reader.read(self._topic, self.partition, first, self._read)
            self._ready.extend(reversed(records))
            self._read = first

    def take(self) -> Record:
        """The next record; the one before it is the head now, or ``fill`` finds it."""
        record = self._ready.popleft()
        self.before = record.offset
        return record
