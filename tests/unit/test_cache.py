"""What is written of a partition, when, and what happens when that can't be done."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from jobs.codec import encode_row
from jobs.model import Job, Status
from tables.cache import REFRESH_MS, Cache
from tables.fold import Fence
from tables.partition import Partition, Unsaved
from tables.rocks import Rocks
from tables.trust import Kept, decode

pytestmark = pytest.mark.asyncio
DONE = Job(status=Status.DONE, submitted_at=1, finished_at=2)
ROW = encode_row(DONE)


class Clock:
    now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def cache(tmp_path: Path, clock: Clock) -> AsyncIterator[Cache]:
    made = Cache(tmp_path / "state", clock)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def part() -> Partition:
    made = Partition(3, Fence(1, "aaaa"))
    made.owned, made.cursor, made.unsaved = (8, 80), 9, Unsaved()
    return made


def put(part: Partition, offset: int, job: Job | None = DONE) -> None:
    """A row that Kafka has acknowledged."""
    part.seen(part.cursor)
    part.durable(offset, job)
    assert part.unsaved is not None
    part.unsaved.rows[offset] = None if job is None else encode_row(job)


async def stored(cache: Cache, number: int = 3) -> tuple[Kept | None, dict[int, bytes]]:
    read = await cache._asked(lambda rocks: rocks.read(number))
    assert read is not None
    return decode(read[0]), read[1]


async def test_rows_and_the_place_are_those_of_one_moment(cache: Cache, part: Partition) -> None:
    put(part, 5)
    put(part, 6)
    flushing = asyncio.create_task(cache.flush([part]))
    await asyncio.sleep(0)  # it has begun
    put(part, 7)
    put(part, 5, None)
    await flushing
    kept, rows = await stored(cache)
    assert kept == Kept(11, Fence(1, "aaaa"), False, 8, 80, rows=2, at=1_000_000, seq=2)
    assert rows == {5: ROW, 6: ROW}
    await cache.flush([part])
    kept, rows = await stored(cache)
    assert kept is not None
    assert (kept.next, kept.rows, rows) == (13, 2, {6: ROW, 7: ROW})


async def test_what_was_recovered_is_written_whole_and_then_what_changed(
    cache: Cache, part: Partition
) -> None:
    put(part, 1)
    await cache.flush([part])
    whole = dict.fromkeys(range(50, 0, -1), ROW)
    part.recovered(list(whole.items()), [(2, n) for n in whole])
    part.unsaved = Unsaved(whole, marks={b"swept": b"{}"})
    put(part, 60)
    put(part, 2, None)
    await cache.flush([part])
    kept, rows = await stored(cache)
    assert kept is not None
    assert sorted(rows) == [1, *range(3, 51), 60]
    assert kept.rows == len(rows) == len(part.rows)


@pytest.mark.parametrize("doubt", ["held back", "alone", "lost", "owed"])
async def test_a_partition_in_doubt_is_left_out_until_it_isnt(
    cache: Cache, part: Partition, doubt: str
) -> None:
    put(part, 5)
    match doubt:
        case "held back":
            part.seen(20)
        case "lost":
            part.lose("")
        case "owed":
            part.owed = {b"3-5"}
    if doubt == "alone":
        async with part.alone():
            await cache.flush([part])
    else:
        await cache.flush([part])
    assert await stored(cache) == (None, {})
    part.trusted()
    part.alive, part.owed = True, set()
    await cache.flush([part])
    assert (await stored(cache))[1] == {5: ROW}, "and nothing was forgotten"


async def test_a_quiet_partition_is_written_again_before_it_is_old(
    cache: Cache, part: Partition, clock: Clock
) -> None:
    put(part, 5)
    await cache.flush([part])
    first, _ = await stored(cache)
    clock.now += REFRESH_MS - 1
    await cache.flush([part])
    assert (await stored(cache))[0] == first
    clock.now += 1
    await cache.flush([part])
    kept, _ = await stored(cache)
    assert kept is not None
    assert kept.at == clock.now


async def test_with_no_folder_nothing_is_kept(part: Partition) -> None:
    cache = Cache(None, Clock())
    await cache.open()
    assert not cache.on
    await cache.flush([part])
    assert part.unsaved is None
    await cache.close()


async def test_a_file_in_place_of_the_folder_is_a_warning(
    tmp_path: Path, part: Partition, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("mine")
    cache = Cache(tmp_path / "state" / "jobs-80", Clock())
    await cache.open()
    await cache.flush([part])
    await cache.close()
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "going on without it" in caplog.text
    assert (tmp_path / "state").read_text() == "mine"
    assert part.unsaved is None, "nothing is gathered for nobody"


async def test_a_damaged_store_is_made_anew(
    tmp_path: Path, part: Partition, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    rocks = Rocks(folder)
    rocks.write({3: b"{}"}, {3: {1: b"old"}}, {})
    rocks.close()
    for path in folder.glob("MANIFEST-*"):
        path.write_bytes(b"garbage" * 100)
    cache = Cache(folder, Clock())
    await cache.open()
    assert "damaged" in caplog.text
    put(part, 5)
    await cache.flush([part])
    assert (await stored(cache))[1] == {5: ROW}
    await cache.close()


async def test_an_error_throws_the_copy_away_and_is_told_once(
    cache: Cache, part: Partition, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(part, 5)
    await cache.flush([part])
    assert cache._rocks is not None
    cache._rocks._db.close()  # an error of the library, at whatever comes next
    for n in (6, 7):
        put(part, n)
        await cache.flush([part])
    assert len(caplog.records) == 1
    assert not cache.on
    assert part.unsaved is None
    await cache.close()
    cache._thread.shutdown(wait=True)
    assert not (tmp_path / "state").exists()
