"""Taking partitions over, on a real broker: fences, void rows, writes that fail half way."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from itertools import cycle

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from jobs.codec import decode_row, encode_row
from jobs.model import Job, Status
from log.reader import LogReader
from log.writer import Entry, LogWriter, NotWritten, Written
from tables.cache import Cache
from tables.fold import SEQ_HEADER, Fold
from tables.jobs import now_ms
from tables.partition import Partition, PartitionLost
from tables.takeover import Identity, Takeover

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]

WAITING = Job(status=Status.WAITING, submitted_at=1)
DONE = Job(status=Status.DONE, submitted_at=1, finished_at=2)


class Failing(LogWriter):
    """A writer that can be made to fail before anything is sent, or to do something right after
    the next records are acknowledged."""

    fails = False
    then: Callable[[], Awaitable[None]] | None = None

    async def write(
        self, topic: str, entries: Iterable[Entry], timeout_s: float | None = None
    ) -> list[Written]:
        if self.fails:
            raise NotWritten("as the test wishes")
        written = await super().write(topic, entries, timeout_s)
        then, self.then = self.then, None
        if then is not None:
            await then()
        return written


class Worker:
    """As much of a worker as takes partitions over and writes rows."""

    def __init__(self, name: str, topic: str, reader: LogReader, writer: Failing) -> None:
        self.topic, self.reader, self.writer = topic, reader, writer
        self.takeover = Takeover(reader, writer, topic, Identity(name, name), Cache(None, now_ms))
        self.held: dict[int, Partition] = {}

    async def take(self) -> tuple[Partition, bool, bool]:
        while True:
            try:
                (taken,) = await self.takeover.take([0], self.held)
                break
            except PartitionLost:  # the other one takes it at this moment: as a worker, try again
                continue
        self.held[0] = taken.partition
        return taken.partition, taken.kept, taken.orphaned

    async def put(self, offset: int, job: Job) -> None:
        part = self.held[0]
        entry = Entry(0, b"0-%d" % offset, encode_row(job), part.next_headers())
        (meta,) = await self.writer.write(self.topic, [entry])
        part.seen(meta.offset)
        part.durable(offset, job)


@pytest_asyncio.fixture
async def pair(kafka: str) -> AsyncIterator[tuple[Worker, Worker]]:
    topic = f"log-{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    producers = [AIOKafkaProducer(bootstrap_servers=kafka, acks="all") for _ in range(2)]
    reader = LogReader(kafka)
    for producer in producers:
        await producer.start()
    one, two = (
        Worker(name, topic, reader, Failing(partial(next, cycle([producer])), 10.0))
        for name, producer in zip(("one", "two"), producers, strict=True)
    )
    yield one, two
    await reader.close()
    for producer in producers:
        await producer.stop()


async def folded(worker: Worker) -> dict[int, Status]:
    """What the log says."""
    fold = Fold(0)
    async for step in worker.reader.scan(worker.topic, {0: 0}):
        for record in step[0].records:
            fold.apply(record)
    return {n: decode_row(row).status for n, row in fold.rows.items()}


async def test_rows_pass_from_owner_to_owner(pair: tuple[Worker, Worker]) -> None:
    one, two = pair
    part, kept, _ = await one.take()
    assert not kept
    await one.put(5, WAITING)
    again, kept, _ = await one.take()
    assert again is part
    assert kept, "nobody else has owned it"
    theirs, kept, orphaned = await two.take()
    assert not kept
    assert orphaned, "the first one has not let go"
    assert dict(theirs.rows) == {5: WAITING}
    await two.put(5, DONE)
    await one.put(5, WAITING)  # a worker that doesn't know yet
    assert await folded(two) == {5: Status.DONE}
    back, kept, _ = await one.take()
    assert not kept
    assert not part.alive
    assert dict(back.rows) == {5: DONE}


async def test_letting_go_on_purpose_is_no_death(pair: tuple[Worker, Worker]) -> None:
    one, two = pair
    part, _, _ = await one.take()
    await one.takeover.release([part], 5.0)
    _, _, orphaned = await two.take()
    assert not orphaned


async def test_letting_go_while_a_new_fence_is_on_its_way_is_no_death(
    pair: tuple[Worker, Worker],
) -> None:
    """The next rebalance begins before the fence of the one before it has been read back."""
    one, two = pair
    part, _, _ = await one.take()
    said: list[Partition] = []

    async def let_go() -> None:
        await one.takeover.release([part], 5.0)
        said.append(part)

    one.writer.then = let_go
    _, kept, _ = await one.take()
    assert (kept, said) == (True, [part])
    _, _, orphaned = await two.take()
    assert not orphaned


async def test_a_mark_of_a_former_owner_leaves_it_known_that_we_let_go(
    pair: tuple[Worker, Worker],
) -> None:
    one, two = pair
    former, _, _ = await one.take()
    part, _, _ = await two.take()
    await two.takeover.release([part], 5.0)
    await one.takeover.release([former], 5.0)  # it doesn't know yet
    assert await two.takeover.mend(part) == 1
    one.held.clear()
    _, _, orphaned = await one.take()
    assert not orphaned


async def copied(worker: Worker, offset: int) -> Callable[[], Awaitable[None]]:
    """The last record of a job, to be delivered once more when it is called."""
    record = await worker.reader.record(
        worker.topic, 0, await worker.reader.end(worker.topic, 0) - 1
    )
    assert record is not None
    assert record.key == b"0-%d" % offset
    entry = Entry(0, record.key, record.value, [(k, v or b"") for k, v in record.headers])

    async def deliver() -> None:
        await worker.writer.write(worker.topic, [entry])

    return deliver


async def test_a_copy_of_our_own_row_that_comes_late_is_answered_by_what_stands(
    pair: tuple[Worker, Worker],
) -> None:
    """The producer had no answer and sent a batch again; the network kept the first copy."""
    one, two = pair
    part, _, _ = await one.take()
    await one.put(5, WAITING)
    late = await copied(one, 5)
    await one.put(5, DONE)
    await late()
    assert await folded(one) == {5: Status.DONE}
    part.on_foreign = lambda _: None
    await one.put(6, WAITING)
    assert 6 not in part.rows, "somebody has written in between"
    assert await one.takeover.mend(part) == 1
    assert dict(part.rows) == {5: DONE, 6: WAITING}
    last = await one.reader.record(one.topic, 0, await one.reader.end(one.topic, 0) - 1)
    assert last is not None
    assert last.value == encode_row(DONE), "compaction keeps the last"
    await one.put(6, DONE)
    theirs, _, _ = await two.take()
    assert dict(theirs.rows) == {5: DONE, 6: DONE}


async def test_a_copy_that_comes_after_its_owner_died_is_void_for_the_next_one(
    pair: tuple[Worker, Worker],
) -> None:
    one, two = pair
    await one.take()
    await one.put(5, WAITING)
    late = await copied(one, 5)
    await one.put(5, DONE)
    await late()
    theirs, _, _ = await two.take()
    assert dict(theirs.rows) == {5: DONE}
    last = await two.reader.record(two.topic, 0, await two.reader.end(two.topic, 0) - 1)
    assert last is not None
    assert last.value == encode_row(DONE)
    await late()
    assert await folded(two) == {5: Status.DONE}


async def test_a_fence_that_could_not_be_written_is_not_ours(pair: tuple[Worker, Worker]) -> None:
    """Another worker takes the same number meanwhile: its rows count, and not our old ones."""
    one, two = pair
    await one.take()
    await one.put(5, WAITING)
    one.writer.fails = True
    with pytest.raises(NotWritten):
        await one.take()
    one.writer.fails = False
    theirs, _, _ = await two.take()
    assert not one.held[0].alive, "its rows may be void, or count though it has not read ours"
    assert theirs.fence.number == one.held[0].sent_fence.number, "or it proves nothing"
    await two.put(5, DONE)
    back, kept, _ = await one.take()
    assert not kept
    assert dict(back.rows) == {5: DONE}
    assert await folded(one) == {5: Status.DONE}


async def test_our_rows_wait_until_it_is_known_whose_the_foreign_record_is(
    pair: tuple[Worker, Worker],
) -> None:
    one, two = pair
    part, _, _ = await one.take()
    gaps: list[Partition] = []
    part.on_foreign = gaps.append
    theirs, _, _ = await two.take()
    await one.put(5, DONE)
    assert dict(part.rows) == {}, "it may be void"
    assert gaps == [part]
    await one.takeover.mend(part)
    assert not part.alive, "and it is: another worker has taken the partition over"
    assert dict(part.rows) == {}
    assert theirs.alive


async def test_a_void_record_is_answered_by_what_stands(pair: tuple[Worker, Worker]) -> None:
    one, two = pair
    await one.take()
    await one.put(5, WAITING)
    theirs, _, _ = await two.take()
    await two.put(5, DONE)
    await one.put(5, WAITING)
    assert await two.takeover.mend(theirs) == 1
    last = await two.reader.record(two.topic, 0, await two.reader.end(two.topic, 0) - 1)
    assert last is not None
    assert last.value == encode_row(DONE), "compaction keeps the last"


@pytest.mark.parametrize("value", [b"junk", None])
async def test_a_record_of_nobody_is_answered_by_what_stands(
    pair: tuple[Worker, Worker], value: bytes | None
) -> None:
    """Else compaction would keep it, and the job would be gone."""
    one, two = pair

    async def last() -> bytes | None:
        record = await one.reader.record(one.topic, 0, await one.reader.end(one.topic, 0) - 1)
        assert record is not None
        assert record.key == b"0-5"
        return record.value

    stray = Entry(0, b"0-5", value, [])
    part, _, _ = await one.take()
    await one.put(5, WAITING)
    await one.writer.write(one.topic, [stray])
    assert await one.takeover.mend(part) == 1
    assert await last() == encode_row(WAITING)
    await one.writer.write(one.topic, [stray])
    theirs, _, _ = await two.take()
    assert dict(theirs.rows) == {5: WAITING}
    assert await last() == encode_row(WAITING)


async def test_rows_behind_a_record_with_a_higher_number_count_once_it_is_seen(
    pair: tuple[Worker, Worker],
) -> None:
    one, two = pair
    part, _, _ = await one.take()
    forged = [part.fence.headers()[0], (SEQ_HEADER, b"1000")]
    await one.writer.write(one.topic, [Entry(0, b"0-5", encode_row(WAITING), forged)])
    part.on_foreign = lambda _: None
    await one.put(6, WAITING)  # void: its number is lower
    assert await one.takeover.mend(part) == 1
    await one.put(6, DONE)
    theirs, _, _ = await two.take()
    assert dict(theirs.rows) == {5: WAITING, 6: DONE}


async def test_two_that_take_it_at_once_end_with_one_owner(pair: tuple[Worker, Worker]) -> None:
    one, two = pair
    for _ in range(10):
        await asyncio.gather(one.take(), two.take())
        await one.put(5, WAITING)
        await two.put(5, DONE)
        last = Fold(0)
        async for step in one.reader.scan(one.topic, {0: 0}):
            for record in step[0].records:
                last.apply(record)
        owner = {"one": WAITING, "two": DONE}[last.fence.instance]
        assert decode_row(last.rows[5]) == owner
