"""Partitions come and go, and topics are made again."""

import asyncio
from collections.abc import Sequence

import pytest

from log.reader import Record
from tables.partition import Partition, PartitionLost
from tests.unit.feed.world import World, asynchronous, record, turns

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
