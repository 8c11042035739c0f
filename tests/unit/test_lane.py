"""Beginning ahead of one's slot, while slots turn over quickly."""

from __future__ import annotations

import asyncio

import pytest

from execution import lane as module
from execution.lane import Lane
from execution.pool import Pool
from jobs.limits import Limit, Rate

pytestmark = pytest.mark.asyncio

AHEAD = 8


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def quick(lane: Lane[int], each_s: float = 0.001) -> None:
    """As if slots had been taken for so long, for a while."""
    for _ in range(100):
        lane._note(each_s, asyncio.get_running_loop().time())


def begun(*keys: int, slots: int = 2) -> Lane[int]:
    lane: Lane[int] = Lane(slots, AHEAD)
    quick(lane)
    lane.begun.update(keys)
    return lane


async def test_none_begins_ahead_until_slots_have_turned_over_quickly() -> None:
    lane: Lane[int] = Lane(10, AHEAD)
    assert lane.free == 10
    quick(lane)
    assert lane.free == 10 + AHEAD
    quick(lane, module.LONG_S + 0.1)
    assert lane.free == 10


async def test_as_many_begin_ahead_as_find_a_slot_soon() -> None:
    lane: Lane[int] = Lane(10, 1_000)
    quick(lane, 0.1)
    assert lane.free in (10 + 14, 10 + 15), "slots × AHEAD_S / 0.1 s"


async def test_one_long_job_is_soon_forgotten() -> None:
    lane: Lane[int] = Lane(10, AHEAD)
    quick(lane)
    lane._note(3_600.0, asyncio.get_running_loop().time())
    assert lane.free > 10


async def test_slots_that_are_held_on_to_let_nobody_begin_ahead() -> None:
    lane: Lane[int] = Lane(10, 1_000)
    for key in range(9):
        assert lane.take(key)
        lane.running[key] -= module.LONG_S + 1
    quick(lane, 0.05)
    assert lane.free in (10 + 2, 10 + 3), "one slot × AHEAD_S / 0.05 s"


async def test_what_gets_no_slot_leaves_its_turn_to_the_next() -> None:
    limit = Limit(rate=Rate(1, 3_600.0))
    tries: list[int] = []

    async def work(key: int) -> None:
        if pool.take(key):
            tries.append(key)
            return
        pool.first._loop.call_soon(pool.skip, key)
        assert not await pool.slot(key)

    pool: Pool[int] = Pool(1, 1, work, lambda group: [limit] if group else [], ahead=AHEAD)
    quick(pool.first)
    assert pool.claim(0, "")
    assert pool.take(0)
    pool.add(1, rerun=False, group="limited")
    await turns()
    pool.give_back(0)
    pool.add(1, rerun=False, group="limited")
    await turns()
    assert tries == [1]


async def test_no_more_run_than_there_are_slots_and_in_the_order_in_which_they_are_ready() -> None:
    lane = begun(1, 2, 3, 4)
    assert lane.take(2)
    assert lane.take(1)
    assert not lane.take(4)
    four = asyncio.ensure_future(lane.slot(4))
    await turns()
    three = asyncio.ensure_future(lane.slot(3))
    await turns()
    lane.release(1)
    assert not lane.take(5), "the one that waits is first"
    await turns()
    assert four.done()
    assert not three.done()
    assert set(lane.running) == {2, 4}
    lane.release(4)
    assert await three
    assert await four


async def test_who_is_skipped_or_stopped_gets_none() -> None:
    lane = begun(1, 2, 3, 4, slots=1)
    assert lane.take(1)
    waiting = [asyncio.ensure_future(lane.slot(key)) for key in (2, 3)]
    await turns()
    lane.skip(2)
    lane.skip(99)
    assert not await waiting[0]
    lane.stop()
    assert not await waiting[1]
    assert not await lane.slot(4), "and nobody waits any more"
    assert set(lane.running) == {1}


async def test_who_waits_too_long_gets_none_nor_begins_ahead_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WAIT_S", 0.01)
    lane = begun(1, 2, slots=1)
    assert lane.take(1)
    assert lane.free > 0
    assert not await lane.slot(2)
    lane.release(2)
    assert lane.free == 0
    lane.release(1)
    assert not lane.running
    assert lane.take(2)


async def test_who_is_cancelled_takes_no_slot_with_him() -> None:
    lane = begun(1, 2, 3, slots=1)
    assert lane.take(1)
    two, three = (asyncio.ensure_future(lane.slot(key)) for key in (2, 3))
    await turns()
    two.cancel()
    await turns()
    lane.release(1)
    assert await three
    lane.release(3)
    assert not lane.running


async def test_what_comes_back_stands_before_all_others() -> None:
    order: list[int] = []

    async def work(key: int) -> None:
        order.append(key)

    pool: Pool[int] = Pool(1, 1, work)
    assert pool.claim(0, "a")  # the slot is taken
    for key, group in ((1, "a"), (2, "b"), (3, "a")):
        pool.add(key, rerun=False, group=group)
    for key in (4, 5):
        pool.add(key, rerun=False, group="a", back=True)
    pool.give_back(0)
    await turns(50)
    await pool.idle()
    assert order == [4, 5, 1, 2, 3]


async def test_work_that_begins_ahead_shares_the_slots() -> None:
    running = most = most_begun = 0

    async def work(key: int) -> None:
        nonlocal running, most, most_begun
        most_begun = max(most_begun, len(pool.first.begun))
        await asyncio.sleep(0.001)  # its row
        assert pool.take(key) or await pool.slot(key)
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    pool: Pool[int] = Pool(3, 1, work, ahead=AHEAD)
    for key in range(200):
        pool.add(key, rerun=False)
    await pool.idle()
    assert most == 3
    assert most_begun > 3
    assert pool.first.free == 3 + AHEAD
    assert not pool.first.running


async def test_once_stopped_it_gives_no_slot_also_where_some_are_free() -> None:
    lane: Lane[int] = Lane(2, AHEAD)
    lane.stop()
    assert not lane.take(1)
    assert not lane.running
