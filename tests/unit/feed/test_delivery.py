"""Each record once, in order, also when a step fails or too many wait."""

import pytest
from aiokafka.errors import KafkaConnectionError

from agents import feed as module
from log.writer import NotWritten
from tests.unit.feed.world import World, asynchronous, turns

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
