"""One attempt, one outcome: whatever a handler does."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import pytest

from execution import executor
from execution.executor import (
    Attempt,
    Canceled,
    Failed,
    HandlerExit,
    Interrupted,
    Outcome,
    Returned,
    Stop,
    TimedOut,
)

pytestmark = pytest.mark.asyncio

LONG_S = 60.0  # never reached
STOPS: list[Stop] = [Canceled("me", "a mistake"), Interrupted(), TimedOut(3.0)]


async def turns(count: int = 10) -> None:
    """Let everything that can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


async def run(function: Callable[[], Awaitable[Any]], timeout_s: float = LONG_S) -> Outcome:
    attempt = Attempt("job 0-1 attempt 1")
    outcome = await attempt.run(function, timeout_s)
    await attempt.over()
    return outcome


async def forever() -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError


class Stubborn:
    """A handler that doesn't end when it is stopped, until it is let go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __call__(self) -> str:
        self.begun.set()
        while not self.let_go.is_set():
            try:
                await self.let_go.wait()
            except asyncio.CancelledError:
                pass
        return "late"


# The handler ends by itself


@pytest.mark.parametrize("value", [None, 5, "text", [1], asyncio.CancelledError])
async def test_returned(value: Any) -> None:
    async def handler() -> Any:
        await asyncio.sleep(0)
        return value

    assert await run(handler) == Returned(value)


async def test_failed() -> None:
    error = ValueError("boom")

    async def handler() -> None:
        raise error

    assert await run(handler) == Failed(error)


class Odd(BaseException):
    pass


@pytest.mark.parametrize(
    "error", [Odd("x"), GeneratorExit(), TimeoutError(), BaseExceptionGroup("g", [Odd()])]
)
async def test_any_exception_is_a_failure(error: BaseException) -> None:
    async def handler() -> None:
        raise error

    assert await run(handler) == Failed(error)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SystemExit(3), "the handler raised SystemExit: 3"),
        (KeyboardInterrupt(), "the handler raised KeyboardInterrupt: "),
    ],
)
async def test_an_exit_is_the_handlers_failure(error: BaseException, text: str) -> None:
    async def handler() -> None:
        await asyncio.sleep(0)
        raise error

    outcome = await run(handler)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, HandlerExit)
    assert str(outcome.error) == text
    assert outcome.error.__cause__ is error


async def test_sys_exit_when_it_is_stopped_is_the_stop() -> None:
    async def handler() -> None:
        try:
            await forever()
        finally:
            sys.exit(1)

    assert await run(handler, timeout_s=0.001) == TimedOut(0.001)


async def test_a_function_that_is_not_async_is_a_failure() -> None:
    outcome = await run(lambda: 5)  # type: ignore[arg-type, return-value] # the mistake is meant
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, TypeError)


async def test_an_exception_before_the_first_await_is_a_failure() -> None:
    def handler() -> NoReturn:
        raise StopIteration

    outcome = await run(handler)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, RuntimeError)


async def test_a_handler_that_cancels_itself_has_failed() -> None:
    async def by_raising() -> None:
        raise asyncio.CancelledError

    async def by_its_task() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    for handler in (by_raising, by_its_task):
        outcome = await run(handler)
        assert isinstance(outcome, Failed)
        assert "cancelled itself" in str(outcome.error)


async def test_its_own_timeout_inside_is_its_own() -> None:
    async def handler() -> str:
        try:
            async with asyncio.timeout(0):
                await forever()
        except TimeoutError:
            return "done without"

    assert await run(handler) == Returned("done without")


# The handler is stopped


async def test_timed_out() -> None:
    assert await run(forever, timeout_s=0.001) == TimedOut(0.001)


@pytest.mark.parametrize("how", STOPS)
async def test_stopped(how: Stop) -> None:
    begun = asyncio.Event()

    async def handler() -> None:
        begun.set()
        await forever()

    attempt = Attempt("a")
    running = asyncio.create_task(attempt.run(handler, LONG_S))
    await begun.wait()
    attempt.stop(how)
    assert await running == how
    await attempt.over()


@pytest.mark.parametrize("how", STOPS)
async def test_what_a_stopped_handler_does_then_does_not_matter(how: Stop) -> None:
    async def returns() -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            return "swallowed"

    async def raises() -> None:
        try:
            await forever()
        finally:
            raise ValueError("while cleaning up")

    for handler in (returns, raises):
        attempt = Attempt("a")
        running = asyncio.create_task(attempt.run(handler, LONG_S))
        await turns()
        attempt.stop(how)
        assert await running == how


@pytest.mark.parametrize("how", STOPS)
async def test_stopped_before_it_began(how: Stop) -> None:
    calls = []

    async def handler() -> None:
        calls.append(1)

    attempt = Attempt("a")
    attempt.stop(how)
    attempt.stop(Canceled("somebody else"))
    assert await attempt.run(handler, LONG_S) == how
    await attempt.over()
    assert calls == []


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there its first step is taken at once")
async def test_stopped_before_its_first_step() -> None:
    calls = []

    async def handler() -> None:
        calls.append(1)

    attempt = Attempt("a")
    running = asyncio.create_task(attempt.run(handler, LONG_S))
    asyncio.get_running_loop().call_soon(attempt.stop, Interrupted())  # before its task's turn
    assert await running == Interrupted()
    assert calls == []


async def test_the_first_stop_counts() -> None:
    attempt = Attempt("a")
    running = asyncio.create_task(attempt.run(forever, LONG_S))
    await turns()
    attempt.stop(Canceled("me"))
    attempt.stop(Interrupted())
    attempt.stop(TimedOut(1.0))
    assert await running == Canceled("me")


async def test_a_stop_after_the_end_changes_nothing() -> None:
    async def handler() -> int:
        return 5

    attempt = Attempt("a")
    assert await attempt.run(handler, LONG_S) == Returned(5)
    attempt.stop(Canceled("me"))
    assert await attempt.run(handler, LONG_S) == Returned(5)


async def test_a_stop_between_the_handlers_end_and_its_outcome_changes_nothing() -> None:
    attempt = Attempt("a")

    async def handler() -> int:
        # Behind the task's own end, before the loop has told it on.
        asyncio.get_running_loop().call_soon(attempt.stop, Canceled("me"))
        return 5

    assert await attempt.run(handler, LONG_S) == Returned(5)


async def test_the_limit_ends_with_the_attempt() -> None:
    async def handler() -> int:
        return 5

    attempt = Attempt("a")
    assert await attempt.run(handler, 0.001) == Returned(5)
    await asyncio.sleep(0.002)
    assert await attempt.run(handler, 0.001) == Returned(5)


# A handler that doesn't end


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "STOP_GRACE_S", 0.001)


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("how", STOPS)
async def test_an_uncooperative_handler_keeps_its_slot_but_not_the_outcome(
    how: Stop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, executor.logger.name)
    handler, attempt = Stubborn(), Attempt("job 0-1 attempt 1")
    running = asyncio.create_task(attempt.run(handler, LONG_S))
    await handler.begun.wait()
    attempt.stop(how)
    assert await running == how

    over = asyncio.create_task(attempt.over())
    await turns()
    assert not over.done()
    assert "job 0-1 attempt 1: the handler doesn't end 0.001s after it was stopped" in caplog.text
    handler.let_go.set()
    await over
    assert "the handler has ended now" in caplog.text
    assert await attempt.run(handler, LONG_S) == how


@pytest.mark.usefixtures("short_grace")
async def test_an_uncooperative_handler_times_out_too() -> None:
    handler, attempt = Stubborn(), Attempt("a")
    assert await attempt.run(handler, 0.001) == TimedOut(0.001)
    handler.let_go.set()
    await attempt.over()


@pytest.mark.usefixtures("short_grace")
async def test_a_handler_that_ends_in_time_is_not_complained_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    attempt = Attempt("a")
    running = asyncio.create_task(attempt.run(forever, LONG_S))
    await turns()
    attempt.stop(Interrupted())
    assert await running == Interrupted()
    await asyncio.sleep(0.003)  # the grace is over, and is found to be of no use
    assert caplog.text == ""


# Who waits


async def test_the_waiter_may_go_and_the_outcome_stands() -> None:
    go_on = asyncio.Event()

    async def handler() -> int:
        await go_on.wait()
        return 5

    attempt = Attempt("a")
    running = asyncio.create_task(attempt.run(handler, LONG_S))
    await turns()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    over = asyncio.create_task(attempt.over())
    await turns()
    assert not over.done()
    go_on.set()
    await over
    assert await attempt.run(handler, LONG_S) == Returned(5)


async def test_over_at_once_when_nothing_ever_ran() -> None:
    await Attempt("a").over()


async def test_who_begins_it_is_told_once_and_then_that_it_is_over() -> None:
    told: list[object] = []
    attempt = Attempt("a")
    attempt.begin(quick, LONG_S, told.append)
    attempt.when_over(lambda: told.append("over"))
    assert told == []
    await attempt.over()
    await turns()
    attempt.stop(Interrupted())
    attempt.when_over(lambda: told.append("over still"))
    assert told == [Returned(5), "over", "over still"]


async def test_who_begins_one_that_was_stopped_is_told_at_once() -> None:
    told: list[object] = []
    attempt = Attempt("a")
    attempt.stop(Interrupted())
    attempt.begin(forever, LONG_S, told.append)
    attempt.when_over(lambda: told.append("over"))
    assert told == [Interrupted(), "over"]


async def quick() -> int:
    """Needs a turn of the loop."""
    await asyncio.sleep(0)
    return 5


async def test_many_may_wait_for_the_end() -> None:
    go_on = asyncio.Event()
    attempt = Attempt("a")
    running = asyncio.create_task(attempt.run(go_on.wait, LONG_S))
    await turns()
    waiting = [asyncio.create_task(attempt.over()) for _ in range(3)]
    waiting[0].cancel()
    await turns()
    go_on.set()
    assert await running == Returned(True)
    await asyncio.gather(*waiting[1:])
