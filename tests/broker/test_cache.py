"""Taking partitions over from the copy on disk gives what the whole changelog gives."""

from __future__ import annotations

import asyncio
import random
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from jobs.codec import decode_row, encode_row
from jobs.model import Job, Status
from log.reader import LogReader
from log.writer import Entry, LogWriter
from tables.cache import Cache
from tables.fold import Fence, Fold
from tables.jobs import now_ms
from tables.marks import Fired, Mark, Swept
from tables.partition import Partition
from tables.takeover import Identity, Taken, Takeover

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]


class Log:
    """One changelog partition, and those who write to it."""

    def __init__(self, topic: str, reader: LogReader, writer: LogWriter) -> None:
        self.topic, self.reader, self.writer = topic, reader, writer

    async def put(self, fence: Fence | None, key: bytes, value: bytes | None) -> int:
        headers = fence.headers() if fence else ()
        (meta,) = await self.writer.write(self.topic, [Entry(0, key, value, headers)])
        return int(meta.offset)

    async def fold(self) -> Fold:
        """What the whole log says."""
        fold = Fold(0)
        async for step in self.reader.scan(self.topic, {0: 0}):
            for record in step[0].records:
                fold.apply(record)
            fold.next = step[0].next
        return fold


class Owner:
    """As much of a worker as takes the partition over, writes to it and keeps a copy."""

    part: Partition

    def __init__(self, name: str, log: Log, folder: Path) -> None:
        self.log, self.folder = log, folder
        self.cache = Cache(folder, now_ms)
        identity = Identity(name, name)
        self.takeover = Takeover(log.reader, log.writer, log.topic, identity, self.cache)

    async def take(self) -> Taken:
        if not self.cache.on:
            await self.cache.open()
        (taken,) = await self.takeover.take([0], {})
        self.part = taken.partition
        return taken

    async def row(self, offset: int, job: Job | None) -> None:
        value = None if job is None else encode_row(job)
        place = await self.log.put(self.part.fence, b"0-%d" % offset, value)
        self.part.seen(place)
        self.part.durable(offset, job)
        assert self.part.unsaved is not None
        self.part.unsaved.rows[offset] = value

    async def mark(self, mark: Mark) -> None:
        self.part.marks.put(mark)
        value = msgspec.json.encode(mark)
        self.part.seen(await self.log.put(self.part.fence, mark.key, value))
        assert self.part.unsaved is not None
        self.part.unsaved.marks[mark.key] = value

    async def flush(self) -> None:
        await self.cache.flush([self.part])

    def copy(self) -> Path:
        """The folder as a kill -9 leaves it at this moment."""
        to = self.folder.with_name(secrets.token_hex(4))
        shutil.copytree(self.folder, to)
        return to


@pytest_asyncio.fixture
async def log(kafka: str) -> AsyncIterator[Log]:
    topic = f"log-{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    reader = LogReader(kafka)
    await producer.start()
    yield Log(topic, reader, LogWriter(lambda: producer, 10.0))
    await reader.close()
    await producer.stop()


async def same_as_the_log(log: Log, owner: Owner) -> None:
    """Whether who has taken the partition over knows what the log says."""
    said = await log.fold()
    part = owner.part
    assert {n: decode_row(value) for n, value in said.rows.items()} == dict(part.rows)
    assert said.marks == part.marks
    assert (said.fence, said.owned, said.released) == (part.fence, part.owned, part.released)
    assert said.stale == set()
    assert said.next == part.cursor
    ended = sorted((job.finished_at or 0, n) for n, job in part.rows.items() if job.status.final)
    assert sorted(part.ended) == ended


def job(rng: random.Random) -> Job:
    status = rng.choice([Status.DONE, Status.FAILED, Status.WAITING, Status.EXECUTING])
    at = rng.randrange(1_000_000)
    return Job(status=status, submitted_at=at, finished_at=at if status.final else None)


def tail_only(caplog: pytest.LogCaptureFixture) -> tuple[int, int]:
    """Records read and rows from the copy, of the last takeover."""
    line = [r for r in caplog.records if "records read" in r.message][-1]
    _, _, records, rows = cast(tuple[int, str, int, int], line.args)
    return records, rows


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_was_written_meanwhile_the_copy_and_the_log_agree(
    log: Log, tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows, tombstones, marks, records of nobody and of former owners, killed at any moment."""
    caplog.set_level("INFO")
    rng = random.Random(seed)
    owner = Owner("w0", log, tmp_path / "store")
    await owner.take()
    zombie = Fence(0, "zombie")
    loaded = 0
    for life in range(1, 5):
        for _ in range(rng.randrange(10, 60)):
            offset = rng.randrange(15)
            match rng.randrange(14):
                case 0:
                    await log.put(zombie, b"0-%d" % offset, encode_row(job(rng)))
                    await owner.takeover.mend(owner.part)
                case 1:
                    await log.put(None, b"0-%d" % offset, b"of nobody")
                    await owner.takeover.mend(owner.part)
                case 2:
                    await owner.mark(Swept(offset, offset * 10))
                case 3:
                    await owner.mark(Fired("nightly", offset, offset))
                case 4 | 5:
                    await owner.row(offset, None)
                case 6:
                    await owner.flush()
                case 7:
                    (again,) = await owner.takeover.take([0], {0: owner.part})
                    assert again.kept
                case 8:
                    await owner.takeover.release([owner.part], 5.0)
                case _:
                    await owner.row(offset, job(rng))
        zombie = owner.part.fence
        folder = owner.copy()
        await owner.cache.close()
        if rng.random() < 0.5:  # somebody else in between
            other = Owner(f"o{life}", log, tmp_path / f"other{life}")
            await other.take()
            await other.row(rng.randrange(15), job(rng))
            await log.put(zombie, b"0-%d" % rng.randrange(15), None)
            await other.takeover.mend(other.part)
            await other.cache.close()
        await log.put(zombie, b"0-99", encode_row(job(rng)))  # void, if there was another owner
        owner = Owner(f"w{life}", log, folder)
        await owner.take()
        loaded += tail_only(caplog)[1]
        await same_as_the_log(log, owner)
    await owner.cache.close()
    assert loaded > 0, "the copy was never used"
    assert "are missing" not in caplog.text, "the copy was wrong, and was found out"


async def test_only_the_tail_is_read(
    log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    one = Owner("one", log, tmp_path / "store")
    await one.take()
    for n in range(100):
        await one.row(n, Job(status=Status.DONE, submitted_at=1, finished_at=n))
    await one.flush()
    for n in range(100, 103):
        await one.row(n, Job(status=Status.DONE, submitted_at=1, finished_at=n))
    two = Owner("two", log, one.copy())
    taken = await two.take()
    assert tail_only(caplog) == (3, 100)
    assert taken.orphaned
    await same_as_the_log(log, two)
    await two.flush()
    three = Owner("three", log, two.copy())
    await three.take()
    assert tail_only(caplog) == (0, 103), "the tail was kept, too"
    await same_as_the_log(log, three)
    for each in (one, two, three):
        await each.cache.close()


async def test_letting_go_is_remembered(log: Log, tmp_path: Path) -> None:
    one = Owner("one", log, tmp_path / "store")
    await one.take()
    await one.takeover.release([one.part], 5.0)
    await one.flush()
    two = Owner("two", log, one.copy())
    assert not (await two.take()).orphaned
    for each in (one, two):
        await each.cache.close()


async def test_the_copy_of_another_log_is_thrown_away(
    log: Log, tmp_path: Path, kafka: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The topic was deleted and made again, and is longer by now than the old one was."""
    caplog.set_level("INFO")
    one = Owner("one", log, tmp_path / "store")
    await one.take()
    await one.row(5, Job(status=Status.DONE, submitted_at=1, finished_at=2))
    await one.flush()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    log.topic = f"log-{secrets.token_hex(4)}"
    await admin.create_topics([NewTopic(log.topic, 1, 1)])
    await admin.close()
    empty = Owner("empty", log, one.copy())
    await empty.take()
    assert tail_only(caplog) == (0, 0)
    await same_as_the_log(log, empty)
    for n in range(9):
        await empty.row(n, Job(status=Status.WAITING, submitted_at=1))
    longer = Owner("longer", log, one.copy())
    await longer.take()
    assert tail_only(caplog) == (10, 0)
    await same_as_the_log(log, longer)
    for each in (one, empty, longer):
        await each.cache.close()


async def test_an_old_copy_is_thrown_away_also_of_partitions_that_arent_ours(
    log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    one = Owner("one", log, tmp_path / "store")
    await one.take()
    await one.row(5, Job(status=Status.DONE, submitted_at=1, finished_at=2))
    await one.flush()
    two = Owner("two", log, one.copy())
    two.cache.max_age_ms = 0
    await two.cache.open()
    assert await two.takeover.take([], {}) == []
    two.cache.max_age_ms = 10**9
    await two.take()
    assert tail_only(caplog) == (2, 0)
    for each in (one, two):
        await each.cache.close()


async def test_rows_that_the_store_lost_are_missed(
    log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    one = Owner("one", log, tmp_path / "store")
    await one.take()
    for n in range(3):
        await one.row(n, Job(status=Status.DONE, submitted_at=1, finished_at=2))
    await one.flush()
    await one.cache._asked(lambda rocks: rocks.write({}, {0: {1: None}}, {}))
    two = Owner("two", log, one.copy())
    await two.take()
    assert "rows are missing" in caplog.text
    assert tail_only(caplog) == (4, 0)
    await same_as_the_log(log, two)
    for each in (one, two):
        await each.cache.close()


async def test_a_partition_that_comes_back_to_the_same_process_is_read_from_its_place(
    log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    one = Owner("one", log, tmp_path / "store")
    await one.take()
    await one.row(1, Job(status=Status.WAITING, submitted_at=1))
    late = one.part
    flushing = asyncio.create_task(one.flush())
    await asyncio.sleep(0)
    two = Owner("two", log, tmp_path / "other")
    await two.take()
    await two.row(1, Job(status=Status.DONE, submitted_at=1, finished_at=2))
    late.lose("Kafka didn't answer")
    await one.take()
    await flushing
    assert tail_only(caplog) == (2, 1)
    await same_as_the_log(log, one)
    for each in (one, two):
        await each.cache.close()
