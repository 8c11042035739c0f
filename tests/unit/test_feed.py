"""The feed: each record once, in order, whatever was not delivered."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st

from agents import feed as module
from agents.feed import Feed, Handle
from log.reader import Record
from log.writer import NotWritten
from tables.fold import Fence
from tables.partition import Partition, PartitionLost


def record(offset: int) -> Record:
    return Record(offset, 1_000 + offset, None, b"%d" % offset, ())


class Reader:
    """A log in memory, as the log reader shows it. Places may be no records: markers."""

    def __init__(self, *lengths: int) -> None:
        self.logs: list[list[Record | None]] = [[record(n) for n in range(k)] for k in lengths]
        self.first = 0
        self.asked: list[tuple[int, int, int]] = []
        self.errors: list[Exception] = []
        self.before_ends: Callable[[], Any] | None = None
        self.before_start: Callable[[], Any] | None = None

    async def ends(self, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        found = {p: len(self.logs[p]) for p in partitions}
        await self._meanwhile(self.before_ends)
        return found

    async def start(self, topic: str, partition: int) -> int:
        await self._meanwhile(self.before_start)
        return self.first

    async def read(self, topic: str, partition: int, start: int, stop: int) -> list[Record]:
        self.asked.append((partition, start, stop))
        await self._meanwhile(None)
        return [r for r in self.logs[partition][start:stop] if r is not None]

    async def _meanwhile(self, step: Callable[[], Any] | None) -> None:
        await asyncio.sleep(0)
        if step is not None:
            await step()
        if self.errors:
            raise self.errors.pop(0)


class Sink:
    """Handles records: remembers them, unless it is told to raise first, or to wait."""

    def __init__(self) -> None:
        self.seen: dict[int, list[int]] = {}
        self.calls: list[tuple[int, list[int]]] = []
        self.errors: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.busy: set[int] = set()

    async def __call__(self, part: Partition, records: Sequence[Record]) -> None:
        assert part.number not in self.busy
        self.busy.add(part.number)
        try:
            self.calls.append((part.number, [r.offset for r in records]))
            await self.gate.wait()
            if self.errors:
                raise self.errors.pop(0)
            for each in records:
                assert each == record(each.offset)
                self.seen.setdefault(part.number, []).append(each.offset)
        finally:
            self.busy.discard(part.number)


class World:
    """A feed between a log and a sink, with partitions served from place 0 on."""

    def __init__(self, *lengths: int) -> None:
        self.reader = Reader(*lengths)
        self.sink = Sink()
        self.served = {p: Partition(p, Fence(1, "aaaa")) for p in range(len(lengths))}
        self.positions: dict[int, int] = {}  # what Faust delivers next, where that is known
        self.held: set[int] = set()  # partitions of which Faust fetches no more
        self.freed: list[int] = []  # how many records had been handled when it went on
        self.feed = self.fed(self.sink)
        for p in self.served:
            self.feed.assign(p, 0)

    def fed(self, handle: Handle) -> Feed:
        reader: Any = self.reader
        return Feed(
            "jobs", reader, self.served, handle, lambda _, p: self.positions.get(p), self.hold
        )

    def hold(self, _: str, p: int, held: bool) -> None:
        assert held is (p not in self.held), "told once"
        self.held ^= {p}
        if not held:
            self.freed.append(len(self.seen))

    async def deliver(self, *offsets: int, p: int = 0) -> None:
        for offset in offsets:
            self.feed.offer(p, [record(offset)])

    async def settle(self) -> None:
        """Wait until the feed has nothing to do any more."""
        me = asyncio.current_task()
        while tasks := asyncio.all_tasks() - {me}:
            await asyncio.wait(tasks)

    async def audit(self, looks: int = 1) -> None:
        for _ in range(looks):
            await self.feed.audit()
            await self.settle()

    @property
    def seen(self) -> list[int]:
        return self.sink.seen.get(0, [])

    @property
    def place(self) -> int:
        return self.feed.places[0]


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RETRY_S", 0)
        patch.setattr(module, "BATCH", 4)
        patch.setattr(module, "INBOX", 10)
        yield


asynchronous = pytest.mark.asyncio


# Delivery


@asynchronous
async def test_records_are_handled_in_order_and_in_batches() -> None:
    world = World(9)
    await world.deliver(*range(9))
    await world.settle()
    assert world.seen == list(range(9))
    assert [offsets for _, offsets in world.sink.calls] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert (world.place, world.feed.gaps, world.reader.asked) == (9, 0, [])


@asynchronous
async def test_records_delivered_again_are_skipped() -> None:
    world = World(8)
    await world.deliver(0, 1, 2, 1, 2, 3)
    await world.settle()
    await world.deliver(0, 1, 2, 3)
    await world.settle()
    assert len(world.sink.calls) == 2
    await world.deliver(3, 4, 2)
    await world.settle()
    assert world.seen == [0, 1, 2, 3, 4]
    assert (world.place, world.feed.gaps) == (5, 0)


@asynchronous
async def test_records_before_the_committed_place_are_skipped() -> None:
    world = World(8)
    world.feed.assign(0, 5)
    await world.deliver(3, 4, 5, 6)
    await world.settle()
    assert world.seen == [5, 6]


@asynchronous
async def test_partitions_do_not_wait_for_each_other() -> None:
    world = World(3, 3)
    world.sink.gate.clear()
    await world.deliver(0, 1, p=0)
    await world.deliver(0, 1, p=1)
    await turns()
    assert sorted(world.sink.calls) == [(0, [0, 1]), (1, [0, 1])]
    world.sink.gate.set()
    await world.settle()
    assert world.sink.seen == {0: [0, 1], 1: [0, 1]}


# Before a partition is served


@asynchronous
async def test_what_is_there_is_caught_up_with_before_anything_is_delivered() -> None:
    world = World(9)
    part = world.served.pop(0)
    world.feed.assign(0, 2)
    await world.feed.catch_up(part, 7)
    assert [offsets for _, offsets in world.sink.calls] == [[2, 3, 4, 5], [6]]
    world.served[0] = part
    await world.deliver(*range(9))
    await world.settle()
    assert world.seen == list(range(2, 9)), "and each is handled once"
    assert (world.place, world.feed.gaps) == (9, 0)


@asynchronous
async def test_an_error_while_it_is_caught_up_leaves_the_place_where_it_was() -> None:
    world = World(9)
    world.sink.errors.append(NotWritten("no"))
    with pytest.raises(NotWritten):
        await world.feed.catch_up(world.served[0], 9)
    assert (world.place, world.seen) == (0, [])
    await world.feed.catch_up(world.served[0], 9)
    assert (world.place, world.seen) == (9, list(range(9)))


@asynchronous
async def test_very_many_are_left_to_be_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CATCH_UP", 8)
    world = World(9)
    await world.feed.catch_up(world.served[0], 9)
    assert (world.place, world.seen) == (0, [])


# Gaps


@asynchronous
async def test_a_gap_in_the_middle_is_filled_first(caplog: pytest.LogCaptureFixture) -> None:
    world = World(9)
    await world.deliver(0, 1, 5, 6, 8)
    await world.settle()
    assert world.seen == list(range(9))
    assert world.reader.asked == [(0, 2, 5), (0, 7, 8)]
    assert (world.place, world.feed.gaps) == (9, 4)
    assert "3 records before the next record of jobs-0 (from offset 2)" in caplog.text


@asynchronous
async def test_a_gap_at_the_start_is_filled_first() -> None:
    world = World(5)
    await world.deliver(3)
    await world.settle()
    assert world.seen == [0, 1, 2, 3]


@asynchronous
async def test_markers_are_no_gaps() -> None:
    world = World(8)
    for place in (2, 3, 6, 7):
        world.reader.logs[0][place] = None
    await world.deliver(0, 1, 4, 5)
    await world.settle()
    await world.audit(2)
    assert world.seen == [0, 1, 4, 5]
    assert (world.place, world.feed.gaps) == (8, 0)


@asynchronous
async def test_a_dropped_tail_is_found_at_the_second_look(caplog: pytest.LogCaptureFixture) -> None:
    world = World(6)
    await world.deliver(0, 1, 2)
    await world.settle()
    await world.audit()
    assert world.seen == [0, 1, 2]
    await world.audit()
    assert world.seen == list(range(6))
    assert (world.place, world.feed.gaps) == (6, 3)
    assert "3 records at the end of jobs-0 (from offset 3)" in caplog.text
    await world.audit(2)
    assert (world.feed.gaps, len(world.sink.calls)) == (3, 2)


@asynchronous
async def test_a_tail_that_comes_between_two_looks_is_no_gap() -> None:
    world = World(4)
    await world.audit()
    await world.deliver(0, 1)
    await world.settle()
    await world.audit()
    await world.deliver(2, 3)
    await world.settle()
    await world.audit()
    assert (world.seen, world.feed.gaps, world.reader.asked) == ([0, 1, 2, 3], 0, [])


@asynchronous
async def test_a_tail_that_was_nearly_suspected_must_be_so_twice_again() -> None:
    world = World(2)
    await world.audit()
    await world.deliver(0, 1)
    await world.settle()
    await world.audit()
    world.reader.logs[0].append(record(2))
    await world.audit()
    assert world.feed.gaps == 0
    await world.audit()
    assert (world.seen, world.feed.gaps) == ([0, 1, 2], 1)


@asynchronous
@pytest.mark.parametrize(
    ("position", "found"), [(None, False), (0, False), (1, False), (2, True), (4, True)]
)
async def test_while_others_are_delivered_a_tail_may_wait_for_its_turn(
    position: int | None, found: bool
) -> None:
    """It is missing only if Faust has gone past it, or if nothing is delivered any more."""
    world = World(4, 9)
    world.feed.assign(0, 1)
    if position is not None:
        world.positions[0] = position
    for start in (0, 3, 6):
        await world.deliver(*range(start, start + 3), p=1)
        await world.settle()
        await world.audit()
    assert world.seen == ([1, 2, 3] if found else [])
    await world.audit()
    assert world.seen == [1, 2, 3]
    assert world.feed.gaps == 3


@asynchronous
async def test_records_that_come_while_a_tail_is_read_are_handled_once() -> None:
    world = World(4)
    await world.deliver(0)
    await world.settle()
    await world.audit()
    await world.feed.audit()  # it reads 1 to 4 now
    await world.deliver(1, 2, 3)
    await world.settle()
    assert (world.seen, world.place, world.feed.gaps) == ([0, 1, 2, 3], 4, 3)


@asynchronous
async def test_partitions_at_work_are_not_audited() -> None:
    world = World(6)
    world.sink.gate.clear()
    await world.deliver(0, 1, 2)
    await turns()
    for _ in range(3):
        await world.feed.audit()
    world.sink.gate.set()
    await world.settle()
    assert (world.seen, world.reader.asked) == ([0, 1, 2], [])


@asynchronous
async def test_work_that_begins_during_a_look_is_left_alone() -> None:
    world = World(4)
    await world.audit()
    world.sink.gate.clear()

    async def deliver() -> None:
        await world.deliver(0, 1)

    world.reader.before_ends = deliver
    await world.feed.audit()
    world.sink.gate.set()
    await world.settle()
    assert (world.seen, world.reader.asked) == ([0, 1], [])


@asynchronous
async def test_only_what_is_served_assigned_and_alive_is_audited() -> None:
    world = World(3, 3, 3, 3)
    del world.served[1]
    world.feed.forget(2)
    world.served[3].lose("a reason")
    await world.audit(2)
    assert world.sink.seen == {0: [0, 1, 2]}
    world.served.clear()
    await world.audit(2)


@asynchronous
async def test_a_partition_that_is_forgotten_during_a_look_is_passed_over() -> None:
    world = World(3)
    await world.audit()

    async def forget() -> None:
        world.feed.forget(0)

    world.reader.before_ends = forget
    await world.audit()
    assert (world.seen, world.feed.places) == ([], {})


@asynchronous
async def test_an_audit_that_cannot_read_is_made_again(caplog: pytest.LogCaptureFixture) -> None:
    world = World(3)
    await world.audit()
    await world.feed.audit()
    world.reader.errors.append(KafkaConnectionError())
    await world.settle()
    assert (world.seen, world.place) == ([], 0)
    assert "jobs-0 can't be audited now" in caplog.text
    await world.audit()
    assert world.seen == [0, 1, 2]


@asynchronous
async def test_what_comes_while_an_audit_fails_is_handled() -> None:
    world = World(3)
    await world.audit()
    await world.feed.audit()
    world.reader.errors.append(KafkaConnectionError())
    await world.deliver(0, 1, 2)
    await world.settle()
    assert world.seen == [0, 1, 2]


# The topic was made again


@asynchronous
async def test_a_topic_that_was_made_again_is_read_from_its_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(3)
    world.feed.assign(0, 50)
    await world.audit()
    assert world.place == 0
    assert "jobs-0 ends at 3, before the place 50 that was reached" in caplog.text
    await world.audit(2)
    assert world.seen == [0, 1, 2]


@asynchronous
async def test_a_log_that_was_cut_goes_on_from_its_start() -> None:
    world = World(8)
    world.reader.first = 6
    world.feed.assign(0, 50)
    await world.audit(3)
    assert world.seen == [6, 7]


@asynchronous
async def test_records_handled_during_a_look_are_no_topic_made_again() -> None:
    world = World(3)
    await world.deliver(0, 1, 2)
    await world.settle()

    async def append_and_deliver() -> None:
        world.reader.logs[0].append(record(3))
        await world.deliver(3)
        await turns()

    world.reader.before_ends = append_and_deliver
    await world.audit()
    assert world.place == 4


@asynchronous
async def test_a_partition_that_is_forgotten_while_its_start_is_read_has_no_place() -> None:
    world = World(3)
    world.feed.assign(0, 50)

    async def forget() -> None:
        world.feed.forget(0)

    world.reader.before_start = forget
    await world.audit()
    assert world.feed.places == {}


# Partitions come and go


@asynchronous
async def test_records_of_partitions_that_are_not_ours_are_dropped() -> None:
    world = World(3, 3)
    del world.served[0]
    world.feed.forget(1)
    await world.deliver(0, 1, p=0)
    await world.deliver(0, 1, p=1)
    await world.settle()
    assert world.sink.calls == []


@asynchronous
async def test_records_that_came_too_early_are_found_as_a_gap() -> None:
    world = World(4)
    world.feed.forget(0)
    await world.deliver(0, 1)
    await world.settle()
    world.feed.assign(0, 0)
    await world.deliver(2, 3)
    await world.settle()
    assert (world.seen, world.feed.gaps) == ([0, 1, 2, 3], 2)


@asynchronous
async def test_a_lost_partition_is_dropped_quietly(caplog: pytest.LogCaptureFixture) -> None:
    world = World(3)
    world.sink.errors.append(PartitionLost("no longer ours"))
    await world.deliver(0, 1)
    await world.settle()
    assert (world.seen, world.place, len(world.sink.calls)) == ([], 0, 1)
    assert caplog.text == ""


@asynchronous
async def test_forgetting_a_partition_ends_its_work() -> None:
    world = World(8)
    world.sink.gate.clear()
    await world.deliver(0, 1)
    await turns()
    await world.deliver(2, 3)
    world.feed.forget(0)
    world.feed.forget(0)
    world.sink.gate.set()
    await world.settle()
    assert (world.seen, world.feed.places) == ([], {})
    world.feed.assign(0, 0)
    await world.deliver(4, 5)
    await world.settle()
    assert world.seen == [0, 1, 2, 3, 4, 5]


@asynchronous
async def test_a_partition_forgotten_by_its_own_work_and_taken_back_misses_nothing() -> None:
    """A row that can't be written ends the lease in the middle of the work that wrote it."""
    world = World(6)

    async def handle(part: Partition, records: Sequence[Record]) -> None:
        world.feed.forget(0)
        raise PartitionLost

    lost = world.fed(handle)
    world.feed = lost
    lost.assign(0, 0)
    await world.deliver(0, 1, 2)
    await world.settle()
    assert lost.places == {}
    lost._handle = world.sink
    lost.assign(0, 0)
    await world.audit(2)
    assert world.seen == list(range(6))


@asynchronous
async def test_work_that_ends_after_its_partition_has_gone_moves_no_place() -> None:
    world = World(6)

    async def handle(part: Partition, records: Sequence[Record]) -> None:
        world.feed.forget(0)

    world.feed = world.fed(handle)
    world.feed.assign(0, 0)
    await world.deliver(0, 1, 2)
    await world.settle()
    assert world.feed.places == {}


@asynchronous
@pytest.mark.parametrize("markers", [False, True])
async def test_a_partition_that_goes_while_its_tail_is_read_has_no_place(markers: bool) -> None:
    world = World(3)
    if markers:
        world.reader.logs[0] = [None] * 3
    await world.audit()
    await world.feed.audit()
    await asyncio.sleep(0)  # it reads now
    assert world.reader.asked == [(0, 0, 3)]
    world.feed.forget(0)
    await world.settle()
    assert (world.seen, world.feed.places) == ([], {})


@asynchronous
async def test_cleared_what_waits_is_dropped_and_delivered_again() -> None:
    world = World(9)
    world.sink.gate.clear()
    await world.deliver(*range(9))
    await turns()
    world.feed.clear()
    await world.deliver(*range(9))
    world.sink.gate.set()
    await world.settle()
    assert (world.seen, world.feed.gaps) == (list(range(9)), 0)


# Errors


@asynchronous
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KafkaConnectionError(), "jobs-0 waits for Kafka"),
        (NotWritten("no answer"), "jobs-0 waits for Kafka: no answer"),
        (ValueError("a mistake"), "jobs-0 can't go on at offset 0; please report this"),
    ],
)
@pytest.mark.parametrize("source", ["handle", "reader"])
async def test_an_error_is_tried_again_and_nothing_is_passed_over(
    error: Exception, text: str, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(8)
    errors = world.sink.errors if source == "handle" else world.reader.errors
    errors.extend([error] * 3)
    await world.deliver(2, 3, 4, 5, 6, 7)
    await world.settle()
    assert world.seen == list(range(8))
    assert errors == []
    assert caplog.text.count(text) == 3


@asynchronous
async def test_a_gap_is_counted_once() -> None:
    world = World(4)
    world.sink.errors.append(NotWritten("no answer"))
    await world.deliver(2, 3)
    await world.settle()
    assert world.feed.gaps == 2


@asynchronous
async def test_an_error_of_a_partition_that_goes_is_tried_no_more() -> None:
    world = World(4)
    world.sink.errors.extend(NotWritten("no answer") for _ in range(1_000))
    await world.deliver(0, 1)
    await turns()
    del world.served[0]
    await world.settle()
    assert world.seen == []
    assert 0 < len(world.sink.calls) < 1_000


# Backpressure


async def filled(world: World, *, p: int = 0) -> None:
    """Deliver until the feed wants no more, and then what had been fetched already."""
    world.sink.gate.clear()
    await world.deliver(0, p=p)
    await turns()  # the first is at work, and waits no more
    await world.deliver(*range(1, 10), p=p)
    assert world.held == set()
    await world.deliver(10, p=p)
    assert world.held == {p}
    await world.deliver(11, p=p)


@asynchronous
async def test_no_more_is_fetched_while_too_many_wait() -> None:
    world = World(12)
    await filled(world)
    world.sink.gate.set()
    await world.settle()
    assert world.held == set()
    assert world.seen == list(range(12)), "what had been fetched is kept"


@asynchronous
async def test_fetching_goes_on_once_half_are_left() -> None:
    world = World(12)
    await filled(world)  # 1 is at work and 11 wait, of which each step takes 4
    world.sink.gate.set()
    await world.settle()
    assert world.freed == [5]


@asynchronous
async def test_a_full_partition_holds_up_no_other_one() -> None:
    world = World(12, 3)
    await filled(world)
    world.sink.gate.set()
    await world.deliver(0, p=1)
    await world.settle()
    assert world.sink.seen == {0: list(range(12)), 1: [0]}


@asynchronous
async def test_fetching_goes_on_when_all_is_cleared() -> None:
    world = World(12)
    await filled(world)
    world.feed.clear()
    assert world.held == set()
    await world.deliver(*range(12))
    world.sink.gate.set()
    await world.settle()
    assert world.seen == list(range(12))


@asynchronous
async def test_nothing_is_suspected_while_delivery_is_held() -> None:
    world = World(12, 3)
    await world.audit()  # partition 1 is suspected
    await filled(world)
    await world.feed.audit()
    world.sink.gate.set()
    await world.settle()
    await world.audit()  # it was held since the last look
    assert world.sink.seen == {0: list(range(12))}
    await world.audit()
    assert 1 not in world.sink.seen
    await world.audit()
    assert world.sink.seen[1] == [0, 1, 2]


@asynchronous
async def test_a_forgotten_partition_is_held_no_more() -> None:
    world = World(12, 3)
    await filled(world)
    world.feed.forget(0)
    assert world.held == set()
    world.sink.gate.set()
    await world.deliver(0, p=1)
    await world.settle()
    assert world.sink.seen[1] == [0]


# Whatever is dropped


class Trouble(Exception):
    pass


@given(
    length=st.integers(0, 30),
    dropped=st.sets(st.integers(0, 29)),
    markers=st.sets(st.integers(0, 29)),
    again=st.lists(st.integers(0, 30), max_size=3),
    errors=st.lists(st.sampled_from([NotWritten, KafkaConnectionError, Trouble]), max_size=4),
)
def test_whatever_is_dropped_each_record_is_seen_once_in_order(
    length: int,
    dropped: set[int],
    markers: set[int],
    again: list[int],
    errors: list[type[Exception]],
) -> None:
    async def main() -> None:
        world = World(length)
        for place in markers & set(range(length)):
            world.reader.logs[0][place] = None
        records = [n for n in range(length) if n not in markers]
        world.sink.errors.extend(error("for a test") for error in errors)
        delivered = [n for n in records if n not in dropped]
        # Delivered from the start, then from other places again, as after rebalances.
        for start in (0, *again):
            await world.deliver(*(n for n in delivered if n >= start))
        await world.settle()
        await world.audit(3)  # the first is none if delivery had to wait
        assert world.seen == records
        await world.audit(2)  # markers at the end are passed when nothing else is there
        assert (world.seen, world.place) == (records, length)
        if not errors:
            assert world.feed.gaps == len(dropped & set(records))

    asyncio.run(main())
