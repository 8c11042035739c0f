"""First steps of handlers, at once where Python can."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from execution import starts as module
from execution.clocks import Clocks
from execution.executor import Attempt, Canceled, Failed, Returned, TimedOut
from execution.starts import Starts

pytestmark = pytest.mark.asyncio

AT_ONCE = sys.version_info >= (3, 12)


async def five() -> int:
    return 5


async def test_a_handler_that_never_waits() -> None:
    told: list[object] = []
    attempt = Attempt("a")
    attempt.begin(five, 60.0, told.append)
    assert told == ([Returned(5)] if AT_ONCE else [])
    attempt.when_over(lambda: told.append("over"))
    await attempt.over()
    await asyncio.sleep(0)
    assert told == [Returned(5), "over"]


async def test_one_that_raises_at_once() -> None:
    async def falls() -> None:
        raise KeyError("k")

    outcome = await Attempt("a").run(falls, 60.0)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, KeyError)


async def test_it_is_the_current_task_from_its_first_step_on() -> None:
    seen: list[object] = []

    async def looks() -> None:
        seen.append(asyncio.current_task())
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    outer = asyncio.current_task()
    await Attempt("a").run(looks, 60.0)
    assert seen[0] is seen[1]
    assert seen[0] is not outer
    assert asyncio.current_task() is outer


async def test_what_waits_after_its_first_step_can_be_stopped_and_runs_out_of_time() -> None:
    begun: list[int] = []

    async def waits() -> None:
        begun.append(1)
        await asyncio.Event().wait()

    attempt = Attempt("a")
    running = asyncio.create_task(attempt.run(waits, 60.0))
    while not begun:
        await asyncio.sleep(0)
    attempt.stop(Canceled("me"))
    assert await running == Canceled("me")
    assert await Attempt("a").run(waits, 0.01) == TimedOut(0.01)


async def test_first_steps_that_compute_leave_the_rest_for_the_next_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("execution.starts.time.monotonic", lambda: now[0])
    starts, steps = Starts(), []

    async def computes(n: int) -> None:
        steps.append(n)
        now[0] += 0.6 * module.AT_ONCE_S

    tasks = [starts.task(computes(n), f"t{n}") for n in range(4)]
    assert steps == ([0, 1] if AT_ONCE else []), "the third comes too late"
    await asyncio.gather(*tasks)
    assert sorted(steps) == [0, 1, 2, 3]
    later = starts.task(computes(4), "t4")
    assert later.done() is AT_ONCE, "another turn has its own time"
    await later


async def test_the_limit_is_set_before_the_first_step() -> None:
    set_at: list[bool] = []
    attempt = Attempt("a", Clocks())

    async def looks() -> None:
        set_at.append(attempt._stop_clock is not None)

    await attempt.run(looks, 60.0)
    assert set_at == [True]


async def test_time_that_is_computed_in_the_first_step_counts() -> None:
    async def computes() -> None:
        time.sleep(0.2)  # noqa: ASYNC251 - it holds the loop up on purpose
        await asyncio.sleep(0.05)  # the limit is over before this is: else it would be told first

    assert await Attempt("a").run(computes, 0.1) == TimedOut(0.1)


async def test_a_stop_within_the_first_step_holds() -> None:
    attempt = Attempt("a")
    ended: list[str] = []

    async def stops_itself() -> None:
        attempt.stop(Canceled("me"))
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("by its cancel")

    told: list[object] = []
    attempt.begin(stops_itself, 60.0, told.append)
    await attempt.over()
    await asyncio.sleep(0)
    assert (told, ended) == ([Canceled("me")], ["by its cancel"])
    assert not attempt.stopped, "its handler was called"


async def test_a_stop_in_a_first_step_that_is_the_last_holds_too() -> None:
    attempt = Attempt("a")

    async def stops_itself() -> None:
        attempt.stop(Canceled("me"))

    assert await attempt.run(stops_itself, 60.0) == Canceled("me")
