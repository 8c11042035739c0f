"""A partition as its owner holds it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from jobs.model import Job, Status
from tables.fold import Fence
from tables.partition import Partition, PartitionLost


@asynccontextmanager
async def writing(part: Partition) -> AsyncIterator[None]:
    """As ``JobTable`` writes rows."""
    while not part.open:
        await part.opened()
    part.check()
    part.begin()
    try:
        yield
    finally:
        part.end()


def row(status: Status = Status.WAITING, finished_at: int | None = None) -> Job:
    return Job(status=status, submitted_at=1, finished_at=finished_at)


@pytest.fixture
def part() -> Partition:
    return Partition(3, Fence(1, "aaaa"))


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Writer:
    """Somebody who writes until told to end."""

    def __init__(self, part: Partition) -> None:
        self.inside = False
        self.end = asyncio.Event()
        self.task = asyncio.create_task(self._write(part))

    async def _write(self, part: Partition) -> None:
        async with writing(part):
            self.inside = True
            await self.end.wait()
        self.inside = False


class Loner(Writer):
    """Somebody who wants the partition for himself."""

    async def _write(self, part: Partition) -> None:
        async with part.alone():
            self.inside = True
            await self.end.wait()
        self.inside = False


# Rows


def test_readers_see_what_is_durable_and_the_owner_what_is_sent(part: Partition) -> None:
    first, second = row(), row(Status.EXECUTING)
    assert part.head(5) is None
    part.sent(5, first)
    assert part.head(5) is first
    assert 5 not in part.rows
    part.sent(5, second)
    part.durable(5, first)
    assert part.rows[5] is first
    assert part.head(5) is second
    part.durable(5, second)
    assert part.rows[5] is part.head(5) is second


def test_a_row_that_is_being_removed_has_no_head(part: Partition) -> None:
    part.durable(5, row())
    part.sent(5, None)
    assert part.head(5) is None
    assert 5 in part.rows
    part.durable(5, None)
    assert part.head(5) is None
    assert 5 not in part.rows
    part.durable(5, None)  # and once more is no harm


def test_an_equal_row_is_not_the_same_row(part: Partition) -> None:
    older, newer = row(), row()
    part.sent(5, newer)
    part.durable(5, older)
    assert part.head(5) is newer


def test_final_rows_are_remembered_with_their_time(part: Partition) -> None:
    part.durable(5, row(Status.EXECUTING))
    part.durable(5, row(Status.DONE, 70))
    part.durable(2, row(Status.FAILED))
    part.durable(2, None)
    assert list(part.ended) == [(70, 5), (0, 2)]


def test_recovered_rows_are_in_order(part: Partition) -> None:
    rows = [
        (9, row(Status.DONE, 30)),
        (1, row(Status.CANCELED, 50)),
        (4, row()),
        (7, row(Status.FAILED)),
    ]
    part.recovered(rows)
    assert list(part.rows) == [1, 4, 7, 9]
    assert list(part.ended) == [(0, 7), (30, 9), (50, 1)]


# Places


def test_a_place_left_out_is_somebody_elses(part: Partition) -> None:
    """The cursor stays before it, for whoever looks after it; what follows is not shown."""
    found: list[Partition] = []
    part.on_foreign = found.append
    part.cursor = 10
    for place in (10, 11, 14, 15, 3, 16):
        part.seen(place)
    assert found == [part]
    assert part.cursor == 12
    job = Job(status=Status.DONE, submitted_at=1)
    part.sent(7, job)
    part.durable(7, job)
    assert 7 not in part.rows
    assert part.head(7) is job
    part.cursor = 17
    part.trusted()
    assert part.rows[7] is job
    part.seen(17)
    assert part.cursor == 18
    assert found == [part]


def test_a_row_that_is_acknowledged_after_the_lease_is_shown_to_nobody(part: Partition) -> None:
    """It may stand behind another owner's first record; a list may be looking at our rows."""
    job = Job(status=Status.EXECUTING, submitted_at=1)
    part.sent(7, job)
    part.acknowledged(7, job, part.cursor)
    ended = Job(status=Status.DONE, submitted_at=1)
    part.sent(7, ended)
    part.lose("another worker has it now")
    part.acknowledged(7, ended, part.cursor + 1)
    assert part.rows[7] is job


def test_a_lease_ends_once(part: Partition) -> None:
    told: list[tuple[Partition, str]] = []
    part.on_lost = lambda *args: told.append(args)
    part.check()
    part.lose("a reason")
    part.lose("another reason")
    assert told == [(part, "a reason")]
    assert not part.alive
    with pytest.raises(PartitionLost, match="partition 3 is no longer ours"):
        part.check()


def test_a_lease_may_end_with_nobody_listening(part: Partition) -> None:
    part.lose("a reason")
    assert not part.alive


@pytest.mark.asyncio
async def test_nothing_is_written_without_the_lease(part: Partition) -> None:
    part.lose("a reason")
    with pytest.raises(PartitionLost):
        async with writing(part):
            pytest.fail("written")
    async with part.alone():  # which is no writing of rows, and waits for nobody
        pass


# Writing and being alone


@pytest.mark.asyncio
async def test_many_write_together(part: Partition) -> None:
    writers = [Writer(part) for _ in range(3)]
    await turns()
    assert all(writer.inside for writer in writers)
    for writer in writers:
        writer.end.set()
    await asyncio.gather(*(writer.task for writer in writers))


@pytest.mark.asyncio
async def test_alone_waits_for_all_writers_and_new_ones_wait_for_it(part: Partition) -> None:
    first, second = Writer(part), Writer(part)
    await turns()
    loner = Loner(part)
    await turns()
    late = Writer(part)
    await turns()
    assert (loner.inside, late.inside) == (False, False)
    first.end.set()
    await turns()
    assert (loner.inside, late.inside) == (False, False)
    second.end.set()
    await turns()
    assert (loner.inside, late.inside) == (True, False)
    loner.end.set()
    await turns()
    assert (loner.inside, late.inside) == (False, True)
    late.end.set()
    await late.task


@pytest.mark.asyncio
async def test_two_are_never_alone_together(part: Partition) -> None:
    loners = [Loner(part), Loner(part), Loner(part)]
    for loner in loners:
        await turns()
        assert [each.inside for each in loners] == [each is loner for each in loners]
        loner.end.set()
        await loner.task


@pytest.mark.asyncio
async def test_a_writer_gets_its_turn_between_two_who_want_to_be_alone(part: Partition) -> None:
    first, second = Loner(part), Loner(part)
    await turns()
    writer = Writer(part)
    first.end.set()
    await turns()
    assert (second.inside, writer.inside) == (False, True)
    writer.end.set()
    await turns()
    assert (second.inside, writer.inside) == (True, False)
    second.end.set()
    await second.task


@pytest.mark.asyncio
async def test_who_waited_for_the_partition_is_told_that_it_is_lost(part: Partition) -> None:
    loner = Loner(part)
    await turns()
    late = Writer(part)
    await turns()
    part.lose("a reason")
    loner.end.set()
    with pytest.raises(PartitionLost):
        await late.task
    assert not late.inside


@pytest.mark.asyncio
async def test_an_acknowledgement_after_the_lease_keeps_nobody_waiting(part: Partition) -> None:
    """It comes late, and behind the records of the next owner: there is nothing to find out."""
    found: list[Partition] = []
    part.on_foreign = found.append
    part.lose("another one has it")
    part.seen(part.cursor + 3)
    assert found == []
    async with asyncio.timeout(10):  # it hung here for ever
        await part.shown()


@pytest.mark.asyncio
async def test_an_error_inside_lets_the_others_go_on(part: Partition) -> None:
    with pytest.raises(ValueError, match="boom"):
        async with writing(part):
            raise ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        async with part.alone():
            raise ValueError("boom")
    async with writing(part):
        pass


@pytest.mark.asyncio
async def test_one_who_gives_up_waiting_to_be_alone_lets_writers_go_on(part: Partition) -> None:
    writer = Writer(part)
    await turns()
    loner = Loner(part)
    await turns()
    loner.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loner.task
    late = Writer(part)
    await turns()
    assert late.inside
    for each in (writer, late):
        each.end.set()
        await each.task


@pytest.mark.asyncio
async def test_one_who_gives_up_writing_is_not_waited_for(part: Partition) -> None:
    writer = Writer(part)
    await turns()
    loner = Loner(part)
    await turns()
    writer.task.cancel()
    await turns()
    assert loner.inside
    loner.end.set()
    await loner.task


@pytest.mark.asyncio
async def test_a_row_on_its_way_is_waited_for(part: Partition) -> None:
    await part.landed(5)
    job = row(Status.CANCELED, 1)
    part.sent(5, job)
    waiting = [asyncio.create_task(part.landed(5)) for _ in range(2)]
    await turns()
    assert not any(task.done() for task in waiting)
    part.durable(5, job)
    await asyncio.gather(*waiting)


@pytest.mark.asyncio
async def test_who_waits_for_a_row_learns_that_the_lease_is_lost(part: Partition) -> None:
    part.sent(5, row())
    waiting = asyncio.create_task(part.landed(5))
    await turns()
    part.lose("")
    with pytest.raises(PartitionLost):
        await waiting


# Watching


@pytest.mark.asyncio
async def test_who_watches_a_row_is_told_when_readers_see_another_one(part: Partition) -> None:
    with part.watching(5) as told, part.watching(5) as me_too, part.watching(6) as other:
        part.sent(5, row())
        assert not told.done(), "not durable yet"
        part.durable(5, row())
        assert (told.done(), me_too.done(), other.done()) == (True, True, False)
    with part.watching(5) as again:
        assert not again.done(), "each watch is told once, of what happens in it"
        part.durable(5, None)
        assert again.done()


@pytest.mark.asyncio
async def test_what_is_held_back_is_not_told(part: Partition) -> None:
    with part.watching(5) as told:
        part.seen(7)
        part.durable(5, row())
        assert not told.done()
        part.trusted()
        assert told.done()


@pytest.mark.asyncio
async def test_the_end_of_the_lease_is_told(part: Partition) -> None:
    with part.watching(5) as told, part.watching(6) as me_too:
        part.lose("test")
        assert told.done()
        assert me_too.done()
    with part.watching(5) as late:
        assert late.done()


@pytest.mark.asyncio
async def test_nothing_is_kept_of_those_who_have_watched(part: Partition) -> None:
    with part.watching(5), part.watching(5) as told:
        pass
    assert part._watched == {}
    part.durable(5, row())
    assert not told.done()


def keyed(status: Status = Status.WAITING, key: str | None = "k", at: int = 1) -> Job:
    return Job(status=status, submitted_at=at, key=key, digest="d")


def test_the_first_job_of_the_log_has_the_key_until_its_row_is_gone():
    part = Partition(0, Fence(1, "me"))
    later, first = keyed(Status.CANCELED), keyed()
    part.sent(9, later)
    assert part.holder("k") == (9, later)
    part.sent(4, first)  # the other one was canceled before it was read
    assert part.holder("k") == (4, first)
    part.durable(9, later)
    part.durable(4, first)
    part.sent(4, None)
    assert part.holder("k") == (4, first), "its removal isn't durable"
    part.durable(4, None)
    assert part.holder("k") == (9, later)
    part.sent(9, None)
    part.durable(9, None)
    assert part.holder("k") is None


def test_a_topic_that_was_made_again_frees_the_keys_of_before():
    part = Partition(0, Fence(1, "me"))
    part.sent(4, keyed(Status.DONE))
    part.sent(4, keyed(key=None, at=2))
    assert part.holder("k") is None
    again = keyed(at=2)
    part.sent(7, again)
    assert part.holder("k") == (7, again)
