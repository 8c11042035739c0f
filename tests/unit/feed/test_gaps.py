"""What was not delivered is found, whatever is dropped."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st

from log.writer import NotWritten
from tests.unit.feed.world import World, asynchronous, record, turns

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
