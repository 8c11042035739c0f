"""Slots: order, lanes, and what is taken out again."""

import asyncio

import pytest

from execution.pool import BRISK, BRISK_S, Pool
from jobs.limits import Limit, Rate

pytestmark = pytest.mark.asyncio


class Work:
    """Work that goes on until it is told to end; remembers what was begun."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.running: dict[int, asyncio.Future[None]] = {}

    async def __call__(self, key: int) -> None:
        assert key not in self.running
        self.begun.append(key)
        self.running[key] = asyncio.get_running_loop().create_future()
        try:
            await self.running[key]
        finally:
            del self.running[key]

    async def end(self, key: int, error: BaseException | None = None) -> None:
        if error is None:
            self.running[key].set_result(None)
        else:
            self.running[key].set_exception(error)
        await turns()

    async def end_all(self, pool: Pool[int]) -> None:
        while self.running:
            await self.end(next(iter(self.running)))
        await pool.idle()


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def filled(first: int, reruns: int, keys: range, *, rerun: bool) -> tuple[Pool[int], Work]:
    work = Work()
    pool = Pool(first, reruns, work)
    for key in keys:
        assert pool.add(key, rerun=rerun)
    await turns()
    return pool, work


@pytest.mark.parametrize("rerun", [False, True])
async def test_keys_run_in_order_in_the_slots_there_are(rerun: bool) -> None:
    pool, work = await filled(2, 2, range(6), rerun=rerun)
    assert work.begun == [0, 1]
    assert pool.waiting() == [2, 3, 4, 5]
    await work.end(1)
    assert work.begun == [0, 1, 2]
    await work.end(0)
    await work.end(2)
    assert work.begun == [0, 1, 2, 3, 4]
    await work.end_all(pool)
    assert work.begun == list(range(6))
    assert len(pool) == 0
    assert pool.first.free == pool.reruns.free == 2


async def test_neither_lane_takes_the_others_slots() -> None:
    pool, work = await filled(2, 1, range(5), rerun=False)
    for key in (10, 11):
        pool.add(key, rerun=True)
    await turns()
    assert sorted(work.running) == [0, 1, 10]
    assert (pool.first.free, pool.reruns.free) == (0, 0)
    await work.end(10)
    assert sorted(work.running) == [0, 1, 11]
    await work.end(0)
    assert sorted(work.running) == [1, 2, 11]
    assert pool.waiting() == [3, 4]
    assert len(pool) == 5
    await work.end_all(pool)


@pytest.mark.parametrize("rerun", [False, True])
async def test_a_key_is_added_once(rerun: bool) -> None:
    pool, work = await filled(1, 1, range(2), rerun=False)
    assert 0 in pool
    assert 1 in pool
    assert 2 not in pool
    assert not pool.add(0, rerun=rerun)  # it runs
    assert not pool.add(1, rerun=rerun)  # it is in line
    assert len(pool) == 2
    await work.end(0)
    assert pool.add(0, rerun=rerun)  # it may come back
    await work.end_all(pool)
    assert sorted(work.begun) == [0, 0, 1]


@pytest.mark.parametrize("rerun", [False, True])
async def test_discarding_takes_out_of_line_and_leaves_what_runs(rerun: bool) -> None:
    pool, work = await filled(1, 1, range(4), rerun=rerun)
    for key in (0, 2, 99):
        pool.discard(key)
    assert pool.waiting() == [1, 3]
    assert 0 in pool
    assert 2 not in pool
    await work.end_all(pool)
    assert work.begun == [0, 1, 3]


async def test_stopped_nothing_starts_and_what_is_in_line_stays() -> None:
    pool, work = await filled(1, 1, range(3), rerun=False)
    pool.stop()
    assert pool.add(10, rerun=True)
    await work.end(0)
    assert work.begun == [0]
    assert pool.waiting() == [1, 2, 10]
    assert pool.first.free == 1
    await pool.idle()


@pytest.mark.parametrize("error", [ValueError("boom"), asyncio.CancelledError()])
async def test_work_that_raises_gives_its_slot_back(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    pool, work = await filled(1, 1, range(2), rerun=False)
    await work.end(0, error)
    assert work.begun == [0, 1]
    assert ("0: its slot's work raised" in caplog.text) is isinstance(error, Exception)
    await work.end_all(pool)
    assert pool.first.free == 1


async def test_idle_waits_for_what_runs_and_for_what_follows() -> None:
    pool, work = await filled(1, 1, range(2), rerun=False)
    idle = asyncio.create_task(pool.idle())
    await turns()
    assert not idle.done()
    await work.end(0)
    assert not idle.done()
    await work.end(1)
    await idle


async def test_idle_at_once_when_nothing_runs() -> None:
    await Pool(1, 1, Work()).idle()


async def test_work_may_put_keys_in_line() -> None:
    begun: list[int] = []

    async def work(key: int) -> None:
        begun.append(key)
        if key < 5:
            assert pool.add(key + 1, rerun=key % 2 == 0)
        assert not pool.add(key, rerun=False)  # it runs still

    pool: Pool[int] = Pool(1, 1, work)
    pool.add(0, rerun=False)
    await pool.idle()
    assert begun == [0, 1, 2, 3, 4, 5]


@pytest.mark.asyncio
async def test_a_rerun_that_waits_long_for_its_rate_holds_up_no_fresh_job() -> None:
    """Two lanes and one alarm: the sooner one counts."""
    limits = {"quick": [Limit(rate=Rate(100, 1.0))], "slow": [Limit(rate=Rate(1, 3_600.0))]}
    done: list[str] = []

    async def work(key: str) -> None:
        done.append(key)

    pool: Pool[str] = Pool(10, 10, work, lambda group: limits[group])
    pool.add("slow-1", rerun=True, group="slow")
    pool.add("slow-2", rerun=True, group="slow")
    for n in range(5):
        pool.add(f"quick-{n}", rerun=False, group="quick")
    async with asyncio.timeout(10):
        while len(done) < 6:
            await asyncio.sleep(0.01)
    assert set(done) == {"slow-1", *(f"quick-{n}" for n in range(5))}
    pool.stop()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("rerun", [False, True])
async def test_a_limited_groups_slot_goes_to_the_older_turn_of_both_lanes(
    shared: bool, rerun: bool
) -> None:
    """Neither lane starves the other: not in one group, nor in two that share a limit."""
    one = Limit(max_running=1)
    work = Work()
    pool = Pool(5, 5, work, lambda group: [one])
    pool.add(0, rerun=False, group="a")
    for key in (1, 2, 3, 4):
        # Odd ones in one lane, even ones in the other.
        pool.add(key, rerun=(key % 2 == 1) is rerun, group="b" if shared and key % 2 else "a")
    await turns()
    for key in (0, 1, 2):
        await work.end(key)
        pool.add(10 + key, rerun=False, group="a")  # fresh jobs go on coming
    await work.end_all(pool)
    assert work.begun == [0, 1, 2, 3, 4, 10, 11, 12]


async def test_a_lane_with_no_free_slot_does_not_hold_up_the_other() -> None:
    one = Limit(max_running=1)
    work = Work()
    pool: Pool[int] = Pool(5, 1, work, lambda group: [one] if group == "limited" else [])
    pool.add(0, rerun=True)  # takes the only slot for reruns
    pool.add(1, rerun=False, group="limited")
    pool.add(2, rerun=True, group="limited")
    pool.add(3, rerun=False, group="limited")
    await turns()
    await work.end(1)
    assert sorted(work.running) == [0, 3], "2 is older, but has no slot"
    await work.end(0)
    await work.end(3)
    assert sorted(work.running) == [2]
    await work.end_all(pool)


async def test_a_rate_is_shared_by_turn() -> None:
    limits = {"paced": [Limit(rate=Rate(1_000, 1.0))]}
    begun: list[int] = []

    async def work(key: int) -> None:
        begun.append(key)

    pool: Pool[int] = Pool(100, 100, work, lambda group: limits[group])
    for key in range(20):
        pool.add(key, rerun=key % 2 == 1, group="paced")
    async with asyncio.timeout(10):
        while len(begun) < 20:
            await asyncio.sleep(0.001)
    assert begun == list(range(20))


async def test_unlimited_work_looks_at_its_own_lane_only() -> None:
    asked: list[str] = []

    def limits(group: str) -> list[Limit]:
        asked.append(group)
        return []

    work = Work()
    pool = Pool(1, 1, work, limits)
    pool.add(0, rerun=False, group="fresh")
    pool.add(1, rerun=False, group="fresh")
    for key in (10, 11):
        pool.add(key, rerun=True, group="again")
    await turns()
    asked.clear()
    await work.end(0)
    assert sorted(work.running) == [1, 10]
    assert set(asked) == {"fresh"}
    await work.end_all(pool)


async def test_a_claimed_slot_is_taken_until_its_work_has_run() -> None:
    pool, work = await filled(2, 1, range(0), rerun=False)
    assert pool.claim(1, "")
    assert not pool.claim(1, ""), "it has one"
    assert pool.add(2, rerun=False)
    assert not pool.claim(3, ""), "none is free"
    assert pool.add(3, rerun=False)
    await turns()
    assert work.begun == [2]
    pool.run(1)
    await turns()
    assert work.begun == [2, 1]
    await work.end(1)
    assert work.begun == [2, 1, 3]
    await work.end_all(pool)


async def test_a_slot_that_is_given_back_is_the_next_ones() -> None:
    pool, work = await filled(1, 1, range(0), rerun=False)
    assert pool.claim(1, "")
    assert pool.add(2, rerun=False)
    pool.give_back(1)
    await turns()
    assert work.begun == [2]
    await work.end_all(pool)


async def test_nobody_passes_those_who_stand_in_line() -> None:
    none = Limit(1)
    pool: Pool[int] = Pool(3, 1, Work(), lambda group: (none,) if group == "limited" else ())
    assert not pool.claim(1, "limited"), "a limit is looked at in line"
    for key in (2, 3):
        assert pool.add(key, rerun=False, group="limited")
    assert pool.claim(4, "free"), "the one that stands in line may not begin"


async def test_who_waits_for_slots_is_told_when_one_is_free_for_him() -> None:
    pool, work = await filled(1, 1, range(2), rerun=False)
    told: list[list[int]] = []
    pool.on_free = lambda: told.append(pool.waiting())
    await work.end(0)
    assert told == [], "the next in line has it"
    await work.end(1)
    assert told == [[]]


async def test_a_brisk_pace_is_many_starts_in_a_short_time() -> None:
    pool: Pool[int] = Pool(1_000, 1, Work())
    for key in range(BRISK - 1):
        pool.add(key, rerun=False)
    assert not pool.brisk()
    pool.add(BRISK, rerun=False)
    assert pool.brisk()
    pool._starts[0] -= BRISK_S
    assert not pool.brisk()


async def test_reruns_at_a_brisk_pace_hold_no_fresh_jobs_up() -> None:
    over = asyncio.Event()

    async def work(key: int) -> None:
        if key == 0:
            await over.wait()

    pool: Pool[int] = Pool(1, 100, work)
    pool.add(0, rerun=False)
    for key in range(1, 101):
        pool.add(key, rerun=True)
    assert not pool.brisk()
    over.set()
    await pool.idle()
