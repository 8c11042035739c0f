"""A topic's records, each exactly once in order of place, from Faust or past it.

Places are contiguous, so it can be told when a record was not delivered: each partition has
the next place expected. A record beyond it means a gap; the log reader reads the missing
places, they are handled first, and only then does the place move on. A dropped tail is found
by ``audit``, which holds the place against the log's end. Gaps that are no records
(transaction markers) are what the reader doesn't find.

The place is also what is committed: all before it has been handled, durably.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiokafka.errors import KafkaError

from log.reader import LogReader, Record
from log.writer import NotWritten
from tables.partition import Partition, PartitionLost

logger = logging.getLogger(__name__)

BATCH = 500  # records handled together at most
INBOX = 2_000  # records that wait, about at most; then no more are fetched until half are left
RETRY_S = 1.0
CATCH_UP = 20_000  # more than so many records don't hold a start up

Handle = Callable[[Partition, Sequence[Record]], Awaitable[None]]


class Feed:
    """Feeds the records of one topic to ``handle``, partition by partition.

    ``handle`` must have made its effects durable when it returns, and must bear records that
    it has seen before. It is called for one partition at a time, in order of place.
    """

    def __init__(
        self,
        topic: str,
        reader: LogReader,
        served: Mapping[int, Partition],
        handle: Handle,
        position: Callable[[str, int], int | None],
        hold: Callable[[str, int, bool], None],
    ) -> None:
        """``position``: the next offset of a topic's partition that Faust is going to deliver,
        if it can be told. ``hold``: fetch no more of a topic's partition (true), or go on."""
        self.topic = topic
        self.places: dict[int, int] = {}
        self.gaps = 0  # records that were never delivered and were read from the log instead
        self._reader = reader
        self._served = served
        self._handle = handle
        self._position = position
        self._hold = hold
        self._inbox: dict[int, deque[Record]] = {}
        self._waiting = 0
        self._held: set[int] = set()  # partitions of which no more are fetched now
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._suspects: dict[int, int] = {}
        self._counted: dict[int, int] = {}  # the place up to which gaps have been counted
        self._held_up = False  # whether delivery had to wait for us since the last look
        self._last_look: dict[int, int] = {}  # the places then

    def offer(self, partition: int, records: Sequence[Record]) -> None:
        """Take delivered records in.

        It never waits: Faust delivers all topics one after another, and jobs that wait
        for room would hold up cancels and reruns. What has been fetched already still comes.
        """
        self._inbox.setdefault(partition, deque()).extend(records)
        self._waiting += len(records)
        if self._waiting >= INBOX and partition not in self._held:
            self._held.add(partition)
            self._held_up = True
            self._hold(self.topic, partition, True)
        self._wake(partition)

    def assign(self, partition: int, place: int) -> None:
        """A partition is ours; ``place`` is the first that has not been handled."""
        self.places[partition] = place

    async def catch_up(self, part: Partition, end: int) -> None:
        """Handle what is in the log of a partition that is ours and not served yet, up to ``end``.
        What is left is delivered, or found as a gap.

        Raises:
            PartitionLost, KafkaError, NotWritten: it is assigned and caught up once more, later.
        """
        p, place = part.number, self.places[part.number]
        if end - place > CATCH_UP:
            logger.info("%s-%d: %d records are left for later", self.topic, p, end - place)
            return
        while place < end and self.places.get(p) == place:
            stop = min(end, place + BATCH)
            records = await self._reader.read(self.topic, p, place, stop)
            try:
                if records:
                    await self._handle(part, records)
            except (PartitionLost, KafkaError, NotWritten):
                raise
            except Exception:
                logger.exception(
                    "%s-%d stops at offset %d; please report this", self.topic, p, place
                )
                return
            place = self.places[p] = records[-1].offset + 1 if records else stop

    def forget(self, partition: int) -> None:
        """A partition is no longer ours."""
        self.places.pop(partition, None)
        self._suspects.pop(partition, None)
        self._counted.pop(partition, None)
        self._waiting -= len(self._inbox.pop(partition, ()))
        self._go_on([partition])
        self._go_on_if_room()
        task = self._tasks.pop(partition, None)
        if task is not None:
            task.cancel()

    def clear(self) -> None:
        """Drop what waits: after a rebalance it is delivered again from the committed place."""
        for records in self._inbox.values():
            records.clear()
        self._waiting = 0
        self._go_on_if_room()

    async def audit(self) -> None:
        """Look for records that exist and were not delivered, since the last look or before.

        Two looks are needed: a record that is there at both, while its partition's place didn't
        move, was dropped if Faust's position is beyond it, or if the whole feed stands still.
        (Faust delivers one partition after another; some wait while others are busy.)
        Partitions that are at work are passed over, and all while we hold delivery up ourselves.
        """
        still, self._last_look = self._last_look == self.places, dict(self.places)
        held_up, self._held_up = self._held_up, bool(self._held)
        if held_up or self._held_up:
            self._suspects.clear()
            return
        quiet = [
            p
            for p, part in self._served.items()
            if part.alive and p in self.places and p not in self._tasks
        ]
        if not quiet:
            return
        asked = {p: self.places[p] for p in quiet}
        ends = await self._reader.ends(self.topic, quiet)
        for p, end in ends.items():
            place = self.places.get(p)
            if place is None or place != asked[p] or p in self._tasks:
                continue  # it has moved, or gone, while we asked
            if end < place:
                await self._made_again(p, place, end)
            elif end > place and self._suspects.get(p) == place:
                if not still and (self._position(self.topic, p) or 0) <= place:
                    continue  # it isn't its turn yet
                self._tasks[p] = asyncio.create_task(self._fill_tail(p, place, end))
            elif end > place:
                self._suspects[p] = place
            else:
                self._suspects.pop(p, None)

    def _go_on_if_room(self) -> None:
        if self._waiting <= INBOX // 2:
            self._go_on(list(self._held))

    def _go_on(self, partitions: Sequence[int]) -> None:
        for p in partitions:
            if p in self._held:
                self._held.discard(p)
                self._hold(self.topic, p, False)

    def _wake(self, p: int) -> None:
        if p not in self._tasks:
            self._tasks[p] = asyncio.create_task(self._work(p))

    async def _work(self, p: int) -> None:
        try:
            inbox = self._inbox[p]
            while inbox:
                batch = [inbox.popleft() for _ in range(min(BATCH, len(inbox)))]
                self._waiting -= len(batch)
                self._go_on_if_room()
                await self._advance(p, batch)
        finally:
            if self._tasks.get(p) is asyncio.current_task():
                del self._tasks[p]
                if self._inbox.get(p):
                    self._wake(p)

    async def _fill_tail(self, p: int, place: int, end: int) -> None:
        try:
            while place < end:
                stop = min(end, place + BATCH)
                missing = await self._reader.read(self.topic, p, place, stop)
                if missing:
                    self._count(p, missing, "at the end of")
                    await self._advance(p, missing)
                    if self.places.get(p, 0) <= place:
                        return  # lost meanwhile
                elif self.places.get(p) == place:
                    self.places[p] = stop  # markers only
                place = stop
        except KafkaError as exc:
            logger.warning("%s-%d can't be audited now: %r", self.topic, p, exc)
        finally:
            if self._tasks.get(p) is asyncio.current_task():
                del self._tasks[p]
                if self._inbox.get(p):
                    self._wake(p)

    async def _advance(self, p: int, records: Sequence[Record]) -> None:
        """Handle records, and what is missing before them, until done or the partition is lost."""
        while True:
            part, place = self._served.get(p), self.places.get(p)
            if part is None or place is None:
                return  # not ours, or not yet: it will be delivered again, or be found as a gap
            try:
                todo = await self._contiguous(p, place, records)
                if todo:
                    await self._handle(part, todo)
                    if self.places.get(p) == place:
                        self.places[p] = todo[-1].offset + 1
                return
            except PartitionLost:
                return
            except (KafkaError, NotWritten) as exc:
                logger.warning("%s-%d waits for Kafka: %s", self.topic, p, exc)
            except Exception:
                # Never passed over: better a partition that waits and says so than a lost job.
                logger.exception(
                    "%s-%d can't go on at offset %d; please report this", self.topic, p, place
                )
            await asyncio.sleep(RETRY_S)

    async def _contiguous(self, p: int, place: int, records: Sequence[Record]) -> list[Record]:
        todo: list[Record] = []
        for record in records:
            if record.offset < place:
                continue  # delivered again
            if record.offset > place:
                missing = await self._reader.read(self.topic, p, place, record.offset)
                if missing:
                    self._count(p, missing, "before the next record of")
                    todo.extend(missing)
            todo.append(record)
            place = record.offset + 1
        return todo

    def _count(self, p: int, missing: Sequence[Record], where: str) -> None:
        if missing[-1].offset < self._counted.get(p, 0):
            return  # tried again
        self._counted[p] = missing[-1].offset + 1
        self.gaps += len(missing)
        logger.warning(
            "%d records %s %s-%d (from offset %d) were not delivered; read from the log instead",
            len(missing),
            where,
            self.topic,
            p,
            missing[0].offset,
        )

    async def _made_again(self, p: int, place: int, end: int) -> None:
        start = await self._reader.start(self.topic, p)
        logger.error(
            "%s-%d ends at %d, before the place %d that was reached: the topic was made again, or "
            "records were deleted. Starting over at %d",
            self.topic,
            p,
            end,
            place,
            start,
        )
        if self.places.get(p) == place:
            self.places[p] = start
