"""A job's newest row is found by seeking, in changelogs of all sorts."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import msgspec
import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka import Producer

from inspection.newest import Search
from inspection.owner import owner_of
from inspection.slices import extents
from jobs.codec import encode_row
from jobs.model import Job, JobId, Status
from log.reader import LogReader
from tables.fold import OWNER_KEY, PREV_HEADER, Fence, Ownership
from tables.marks import SWEPT_KEY, Swept

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]
START = 1_700_000_000_000
OURS, THEIRS = Fence(2, "aaaa"), Fence(1, "bbbb")


@dataclass
class Changelog:
    """One partition, written by hand: a record each millisecond."""

    kafka: str
    topic: str
    client: Producer = field(init=False)
    count: int = 0
    last: dict[int, int] = field(default_factory=dict)
    fence: Fence = OURS

    def __post_init__(self) -> None:
        self.client = Producer(
            {"bootstrap.servers": self.kafka, "linger.ms": 20, "batch.num.messages": 100}
        )

    def put(
        self, key: bytes, value: bytes | None, fence: Fence | None = None, prev: int | None = None
    ) -> int:
        headers: list[tuple[str, str | bytes | None]] = [*(fence or self.fence).headers()]
        if prev is not None:
            headers.append((PREV_HEADER, b"" if prev < 0 else b"%d" % prev))
        self.client.produce(
            self.topic, value, key, 0, headers=headers, timestamp=START + self.count
        )
        self.client.poll(0)
        self.count += 1
        return self.count - 1

    def row(self, offset: int, status: Status, *, fence: Fence | None = None, **more) -> int:
        prev = self.last.get(offset, -1)
        row = encode_row(Job(status=status, submitted_at=START + offset, **more))
        place = self.put(b"0-%d" % offset, row, fence, prev)
        if fence is None:
            self.last[offset] = place
        return place

    def own(self, fence: Fence, worker: str, released: bool = False) -> int:
        self.fence = fence
        return self.put(OWNER_KEY, msgspec.json.encode(Ownership(worker, released)))

    def work(self, offsets: Iterable[int], open_at_once: int = 100) -> None:
        """Admit, start and finish jobs, as many at once as a worker may have."""
        running: list[int] = []
        for offset in offsets:
            self.row(offset, Status.WAITING)
            running.append(offset)
            if len(running) == open_at_once:
                first = running.pop(0)
                self.row(first, Status.EXECUTING, attempt=1)
                self.row(first, Status.DONE, attempt=1, finished_at=START + self.count)
        for offset in running:
            self.row(offset, Status.EXECUTING, attempt=1)
            self.row(offset, Status.DONE, attempt=1, finished_at=START + self.count)

    async def search(self, reader: LogReader, offset: int, since: int | None = START) -> Search:
        assert self.client.flush(60) == 0
        found = Search(reader, self.topic, JobId(0, offset))
        await found.run((await extents(reader, self.topic, [0]))[0], since)
        return found


@pytest_asyncio.fixture
async def reader(kafka: str) -> AsyncIterator[LogReader]:
    made = LogReader(kafka, fetch_bytes=100_000)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def changelog(kafka: str) -> Changelog:
    name = f"newest-{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1)])
    await admin.close()
    return Changelog(kafka, name)


async def test_in_a_long_changelog_little_is_read(changelog: Changelog, reader: LogReader) -> None:
    changelog.own(OURS, "here")
    changelog.work(range(20_000))
    for offset in (0, 1, 777, 12_345, 19_999):
        found = await changelog.search(reader, offset)
        assert found.record is not None
        assert found.record.offset == changelog.last[offset]
        assert found.read < 7_000, offset  # of 60,000


async def test_a_burst_that_is_worked_off_late(changelog: Changelog, reader: LogReader) -> None:
    """All records are of one moment, so that time tells nothing."""
    changelog.work(range(5_000))
    found = await changelog.search(reader, 4_000, since=START - 1_000_000)
    assert found.record is not None
    assert found.record.offset == changelog.last[4_000]
    assert found.read < 7_000


async def test_one_that_is_not_final_is_looked_for_to_the_end(
    changelog: Changelog, reader: LogReader
) -> None:
    changelog.row(5, Status.WAITING, next_attempt_at=START)
    changelog.work(range(6, 3_000))
    changelog.row(5, Status.EXECUTING, attempt=1)
    found = await changelog.search(reader, 5)
    assert found.record is not None
    assert found.record.offset == changelog.last[5] == changelog.count - 1


async def test_rows_of_a_former_owner_count_no_more(
    changelog: Changelog, reader: LogReader
) -> None:
    changelog.own(THEIRS, "there")
    changelog.work(range(2_000))
    changelog.own(OURS, "here")
    place = changelog.row(2_000, Status.WAITING)
    changelog.row(2_000, Status.DONE, fence=THEIRS)
    found = await changelog.search(reader, 2_000)
    assert found.record is not None
    assert found.record.offset == place


async def test_where_first_rows_are_compacted_away(changelog: Changelog, reader: LogReader) -> None:
    for offset in (3, 1, 0, 2, *range(5, 8_000), 4):
        changelog.last[offset] = 0  # something was before
        changelog.row(offset, Status.DONE, attempt=1)
    for offset in (0, 4, 4_000, 7_999):
        found = await changelog.search(reader, offset, START + offset)
        assert found.record is not None, offset
        assert found.record.offset == changelog.last[offset]


async def test_one_that_was_canceled_before_it_was_read(
    changelog: Changelog, reader: LogReader
) -> None:
    changelog.row(2_900, Status.CANCELED)
    changelog.work(range(2_000))
    found = await changelog.search(reader, 2_900)
    assert found.record is not None
    assert found.record.offset == 0
    assert not (await changelog.search(reader, 2_899)).passed


@pytest.mark.parametrize("backlog", [0, 3_000])
async def test_whether_intake_has_come_past_one_with_no_row(
    changelog: Changelog, reader: LogReader, backlog: int
) -> None:
    changelog.work(n for n in range(backlog + 10) if n != 5)
    gone = await changelog.search(reader, 5)
    assert (gone.record, gone.passed) == (None, True)
    unread = await changelog.search(reader, backlog + 10)
    assert (unread.record, unread.passed) == (None, False)
    changelog.put(SWEPT_KEY, msgspec.json.encode(Swept(backlog + 100, START)))
    swept = await changelog.search(reader, backlog + 10)
    assert (swept.record, swept.passed) == (None, True)


async def test_an_empty_changelog(changelog: Changelog, reader: LogReader) -> None:
    found = await changelog.search(reader, 0)
    assert (found.record, found.passed, found.read) == (None, False, 0)
    extent = (await extents(reader, changelog.topic, [0]))[0]
    assert await owner_of(reader, changelog.topic, 0, extent) is None


async def test_a_row_that_can_not_be_read_is_none(changelog: Changelog, reader: LogReader) -> None:
    changelog.put(b"0-0", b"{", prev=-1)
    assert (await changelog.search(reader, 0)).record is None


async def test_the_owner(changelog: Changelog, reader: LogReader) -> None:
    async def owner():
        assert changelog.client.flush(60) == 0
        extent = (await extents(reader, changelog.topic, [0]))[0]
        return await owner_of(reader, changelog.topic, 0, extent)

    changelog.own(THEIRS, "there")
    changelog.work(range(300))
    changelog.own(OURS, "here")
    taken = START + changelog.count - 1
    changelog.put(b"0-1", b"{}", THEIRS)  # a zombie
    assert await owner() == (OURS, "here", taken, False)
    changelog.work(range(300, 3_000))
    assert await owner() == (OURS, "here", taken, False)
    changelog.own(OURS, "here", released=True)
    assert await owner() == (OURS, "here", START + changelog.count - 1, True)


async def test_an_owner_whose_record_was_compacted_away(
    changelog: Changelog, reader: LogReader
) -> None:
    changelog.work(range(1_000))
    assert changelog.client.flush(60) == 0
    extent = (await extents(reader, changelog.topic, [0]))[0]
    assert await owner_of(reader, changelog.topic, 0, extent) == (OURS, None, None, False)
