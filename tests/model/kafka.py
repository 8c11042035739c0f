"""A simulated log: one partition of each topic, and what each worker has in flight.

Requests wait until the model serves them. A batch of records may land and be acknowledged, land
and wait for its acknowledgement, land twice (the producer tried again), or fail though it lands,
then or much later, also after its worker's death. And one that is acknowledged may have been sent
before: that copy lands whenever the model says, behind whatever was written since.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka.errors import RequestTimedOutError
from aiokafka.structs import RecordMetadata, TopicPartition
from faust.types import TP

from log.reader import LogReader, Record, Slice
from tests.model.loop import Clock, StepLoop

P = 0  # one partition: what is of interest happens between workers
BATCH = 3  # records in one; small, so that it is full at times
BATCH_BYTES = 100_000  # of values, in one; less than a request holds, as for aiokafka
FETCH = 4  # records in an answer; small, so that reading takes several


class Topic:
    """The log itself. ``records`` is what is left of it."""

    def __init__(self, clock: Clock) -> None:
        self.records: list[Record] = []
        self.end = 0
        self.acknowledged: list[Batch] = []
        self.on_append: Callable[[Sequence[Record]], None] | None = None
        self._clock = clock

    def append(self, entries: Sequence[tuple[bytes | None, bytes | None, Any]]) -> int:
        """Add a batch; the place of its first record."""
        first, at = self.end, round(self._clock.now_s * 1000)
        batch = [Record(first + i, at, *entry) for i, entry in enumerate(entries)]
        self.records.extend(batch)
        self.end += len(batch)
        if self.on_append is not None:
            self.on_append(batch)
        return first

    def compact(self, boundary: int) -> None:
        """Keep the last record of each key among those before ``boundary``, and all others."""
        last = {r.key: r.offset for r in self.records if r.offset < boundary}
        self.records = [r for r in self.records if r.offset >= boundary or last[r.key] == r.offset]

    def slice(self, place: int, limit: int) -> Slice:
        """What a fetch answers."""
        found = [r for r in self.records if r.offset >= place]
        part = found[:limit]
        after = part[-1].offset + 1 if len(part) < len(found) else max(self.end, place)
        return Slice(part, after, self.end)


class Kafka:
    """The topics, and the consumer group's places."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.topics: dict[str, Topic] = {}
        self.committed: dict[str, int] = {}
        # In flight still, though nobody waits for them.
        self.ghosts: list[Batch | Copy] = []

    def topic(self, name: str) -> Topic:
        """A topic, made when it is first asked about."""
        return self.topics.setdefault(name, Topic(self.clock))


class Appended(NamedTuple):
    """What a builder says of a record."""

    timestamp: int


class Builder:
    """As ``aiokafka.producer.message_accumulator.BatchBuilder``."""

    def __init__(self) -> None:
        self.entries: list[tuple[bytes | None, bytes | None, Any]] = []
        self._left = BATCH_BYTES

    def append(self, *, timestamp: None, key: Any, value: Any, headers: Any) -> Appended | None:
        """``None``: it is full. The first one is taken, however large it is."""
        self._left -= len(value or b"")
        if len(self.entries) == BATCH or (self.entries and self._left < 0):
            return None
        self.entries.append((key, value, headers))
        return Appended(0)

    def close(self) -> None:
        """It takes no more."""


class Batch:
    """Records of one topic that are sent together."""

    def __init__(
        self,
        topic: Topic,
        name: str,
        entries: list[tuple[bytes | None, bytes | None, Any]],
        loop: StepLoop,
    ) -> None:
        self.topic, self.name, self.entries = topic, name, entries
        self.future: asyncio.Future[RecordMetadata] = loop.create_future()
        self.drained = loop.create_future()
        self.first: int | None = None  # where it has landed

    def drain(self) -> None:
        """It is on its way, and takes no more records."""
        if not self.drained.done():
            self.drained.set_result(None)

    def land(self) -> None:
        """It is in the log now, maybe for the second time."""
        self.drain()
        self.first = self.topic.append(self.entries)

    def acknowledge(self) -> None:
        """Its worker is told where it is."""
        assert self.first is not None
        if not self.future.done():
            tp = TopicPartition(self.name, P)
            self.topic.acknowledged.append(self)
            self.future.set_result(RecordMetadata(self.name, P, tp, self.first, 0, 0, 0))

    def fail(self) -> None:
        """Its worker is told that nobody answered."""
        self.drain()
        if not self.future.done():
            self.future.set_exception(RequestTimedOutError())


class Copy:
    """A batch as it was sent first, on a connection that is gone. The producer has sent it again
    since, and hears of that one only."""

    def __init__(self, batch: Batch) -> None:
        self.topic, self.entries = batch.topic, batch.entries

    def land(self) -> None:
        """It is in the log, too."""
        self.topic.append(self.entries)


class Connection:
    """What one worker asks of Kafka. It is the worker's producer, too."""

    def __init__(self, kafka: Kafka, loop: StepLoop) -> None:
        self.kafka = kafka
        self.loop = loop
        self.batches: dict[str, deque[Batch]] = {}
        self._requests: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()

    async def ask(self, answer: Callable[[], Any]) -> Any:
        """Wait for the answer to a request; it is worked out when the model serves it."""
        future = self.loop.create_future()
        self._requests.append((future, answer))
        return await future

    # As ``AIOKafkaProducer``

    _max_request_size = 1_000_000

    def create_batch(self) -> Builder:
        """An empty one."""
        return Builder()

    async def send_batch(
        self, builder: Builder, topic: str, *, partition: int
    ) -> asyncio.Future[RecordMetadata]:
        """Waits while another batch of the topic waits to be taken."""
        assert partition == P
        line = self.batches.setdefault(topic, deque())
        while line and not line[-1].drained.done():
            await asyncio.wait([line[-1].drained])
        batch = Batch(self.kafka.topic(topic), topic, builder.entries, self.loop)
        line.append(batch)
        return batch.future

    def in_flight(self) -> list[Batch]:
        """The next batch of each topic."""
        return [line[0] for line in self.batches.values() if line]

    def serve(self) -> bool:
        """Answer one request, or take one batch. False: there is none."""
        if self._requests:
            future, answer = self._requests.popleft()
            if not future.done():
                future.set_result(answer())
            return True
        for batch in self.in_flight():
            if batch.first is None:
                batch.land()
            self.done(batch)
            batch.acknowledge()
            return True
        return False

    def done(self, batch: Batch) -> None:
        """Forget a batch: it is acknowledged or given up."""
        self.batches[batch.name].popleft()

    def send_again(self, batch: Batch) -> Copy:
        """Nobody answers, and another connection is made: what is on its way on the first one
        is a copy from now on, that may land at any time."""
        batch.drain()
        copy = Copy(batch)
        self.kafka.ghosts.append(copy)
        return copy

    def cut_off(self) -> None:
        """The worker is dead: what was on its way may still land, nothing more comes."""
        self.kafka.ghosts += [b for b in self.in_flight() if b.first is None]
        self.batches = {}
        self._requests.clear()
        self.kafka = Kafka(self.loop.clock)


class Reader(LogReader):
    """The product's reader over the simulated log: only the requests are others."""

    def __init__(self, connection: Connection) -> None:
        super().__init__("")
        self._connection = connection

    async def _request(
        self, topic: str, starts: Mapping[int, int], limit: int | None, wait_ms: int
    ) -> dict[int, Slice]:
        def answer() -> dict[int, Slice]:
            log = self._connection.kafka.topic(topic)
            return {p: log.slice(place, limit or FETCH) for p, place in starts.items()}

        found: dict[int, Slice] = await self._connection.ask(answer)
        return found

    async def _offsets_once(self, topic: str, wanted: Mapping[int, int]) -> dict[int, int]:
        def answer() -> dict[int, int]:
            end = self._connection.kafka.topic(topic).end
            return {p: 0 if which == -2 else end for p, which in wanted.items()}

        found: dict[int, int] = await self._connection.ask(answer)
        return found


class Consumer:
    """What ``Resume`` asks of the group's consumer."""

    def __init__(self, connection: Connection, topics: Sequence[str]) -> None:
        self._connection = connection
        self._topics = topics
        self.assigned = False
        self.member = lambda: True  # whether the group still takes this worker's commits

    def assignment(self) -> set[TP]:
        """The partitions that the group has given us."""
        return {TP(topic, P) for topic in self._topics} if self.assigned else set()

    async def committed(self, tps: Sequence[TP]) -> dict[TP, int | None]:
        """The group's places."""
        kafka = self._connection.kafka
        found: dict[TP, int | None] = await self._connection.ask(
            lambda: {tp: kafka.committed.get(tp.topic) for tp in tps}
        )
        return found

    async def commit_places(self, places: Mapping[TP, int]) -> bool:
        """Commit; refused when the group has moved on."""

        def answer() -> bool:
            if self.member():
                for tp, place in places.items():
                    self._connection.kafka.committed[tp.topic] = place
            return self.member()

        taken: bool = await self._connection.ask(answer)
        return taken
