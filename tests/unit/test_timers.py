"""The timer: what is due is called, in order, also when the clock jumps."""

import asyncio

import pytest

from execution import timers
from execution.timers import DueTimer

pytestmark = pytest.mark.asyncio

HOUR_MS = 3_600_000


class Clock:
    """A wall clock that is set by hand."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


class Rung:
    """A timer on a clock, and the keys that it has called."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self.timer = DueTimer(self.queue.put_nowait, self.clock)

    def set(self, key: str, in_ms: int) -> None:
        self.timer.set(key, self.clock.ms + in_ms)

    async def called(self, count: int) -> list[str]:
        """The next keys called. Waits for them, and finds no more."""
        keys = [await self.queue.get() for _ in range(count)]
        assert self.queue.empty()
        return keys


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> Rung:
    monkeypatch.setattr(timers, "LONGEST_NAP_S", 0.001)
    return Rung()


async def test_what_is_due_is_called_by_time_and_then_in_the_order_it_came(rung: Rung) -> None:
    for key, in_ms in [("c", -1), ("a", -3), ("d", 0), ("b", -2), ("b2", -2)]:
        rung.set(key, in_ms)
    assert rung.timer.waiting() == ["c", "a", "d", "b", "b2"]
    assert await rung.called(5) == ["a", "b", "b2", "c", "d"]
    assert len(rung.timer) == 0


async def test_what_is_not_due_waits(rung: Rung) -> None:
    rung.set("later", HOUR_MS)
    rung.set("now", 0)
    rung.set("much later", 2 * HOUR_MS)
    assert await rung.called(1) == ["now"]
    assert "later" in rung.timer
    assert "now" not in rung.timer
    rung.clock.ms += HOUR_MS - 1
    rung.set("now again", 0)
    assert await rung.called(1) == ["now again"]
    rung.clock.ms += 1
    assert await rung.called(1) == ["later"]
    assert rung.timer.waiting() == ["much later"]


async def test_a_clock_that_jumps_ahead_is_noticed(rung: Rung) -> None:
    rung.set("a", HOUR_MS)
    rung.set("b", 24 * HOUR_MS)
    rung.clock.ms += 48 * HOUR_MS
    assert await rung.called(2) == ["a", "b"]


async def test_a_clock_that_is_put_back_delays(rung: Rung) -> None:
    rung.set("a", 5)
    rung.clock.ms -= HOUR_MS
    rung.set("b", 0)
    assert await rung.called(1) == ["b"]
    assert "a" in rung.timer
    rung.clock.ms += HOUR_MS + 5
    assert await rung.called(1) == ["a"]


async def test_set_anew_only_the_last_time_counts(rung: Rung) -> None:
    rung.set("later", 0)
    rung.set("later", HOUR_MS)
    rung.set("sooner", HOUR_MS)
    rung.set("sooner", -1)
    rung.set("twice", 0)
    rung.set("twice", 0)
    assert len(rung.timer) == 3
    assert await rung.called(2) == ["sooner", "twice"]
    rung.clock.ms += HOUR_MS
    assert await rung.called(1) == ["later"]


async def test_discarded_is_not_called(rung: Rung) -> None:
    rung.set("a", 0)
    rung.set("b", 0)
    rung.timer.discard("a")
    rung.timer.discard("unknown")
    assert "a" not in rung.timer
    assert await rung.called(1) == ["b"]
    rung.set("a", 0)
    assert await rung.called(1) == ["a"]


async def test_stopped_nothing_is_called_until_it_is_set_again(rung: Rung) -> None:
    rung.set("a", 0)
    rung.set("b", 1)
    rung.timer.stop()
    assert len(rung.timer) == 0
    rung.clock.ms += 1
    rung.set("c", 0)
    assert await rung.called(1) == ["c"]


async def test_stopping_an_idle_timer_does_nothing(rung: Rung) -> None:
    rung.timer.stop()
    assert rung.timer.waiting() == []


async def test_a_call_may_set_keys() -> None:
    called: list[str] = []
    done = asyncio.Event()

    def due(key: str) -> None:
        called.append(key)
        if len(called) < 3:
            timer.set(key + "'", 0)
        else:
            done.set()

    timer = DueTimer(due)
    timer.set("a", 0)
    await done.wait()
    assert called == ["a", "a'", "a''"]


async def test_without_a_clock_of_its_own_it_takes_the_wall_clock() -> None:
    queue: asyncio.Queue[str] = asyncio.Queue()
    timer = DueTimer(queue.put_nowait)
    timer.set("in a year", 4_102_444_800_000)  # the year 2100
    timer.set("past", 1_767_225_600_000)
    assert await queue.get() == "past"
    assert timer.waiting() == ["in a year"]
    timer.stop()
