"""One attempt in, one outcome out.

Four endings that never mix, and one that is none of them: returned, failed, timed
out, canceled (a person's stop), interrupted (the worker's stop). Whatever a handler
raises is an outcome, never a crash.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from execution.clocks import Clocks
from jobs.errors import told

logger = logging.getLogger(__name__)

STOP_GRACE_S = 1.0
"""How long a handler may take to end when stopped before its outcome is recorded without it."""


class Returned(msgspec.Struct, frozen=True):
    """The handler returned ``value``."""

    value: Any


class Failed(msgspec.Struct, frozen=True):
    """The handler raised."""

    error: BaseException


class TimedOut(msgspec.Struct, frozen=True):
    """The attempt took longer than its limit."""

    timeout_s: float


class Canceled(msgspec.Struct, frozen=True):
    """A person stopped the job."""

    who: str
    why: str = ""


class Interrupted(msgspec.Struct, frozen=True):
    """The worker stopped the attempt: it drains, or has lost the job's partition."""


Stop = TimedOut | Canceled | Interrupted
Outcome = Returned | Failed | Stop


class HandlerExit(Exception):
    """A handler called ``sys.exit`` or raised ``KeyboardInterrupt``: its failure, not ours."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__(f"the handler raised {told(raised)}")


class Attempt:
    """One run of a handler. It can be stopped at any time, also before it has begun."""

    # What all begin with is the class's: one is made for each job, and most of it is never set.
    is_settled = False  # for who runs it: its outcome is recorded, or nobody's
    began_at = 0.0  # by the loop's clock
    _settled: asyncio.Event | None = None
    _stop: Stop | None = None
    _timeout_s = 0.0
    _stop_clock: Callable[[], object] | None = None
    _task: asyncio.Task[Any] | None = None
    _begins = False  # its first step is taken, before there is a task
    _outcome: Outcome | None = None
    _told: Callable[[Outcome], None] | None = None  # whoever runs it

    def __init__(self, name: str, clocks: Clocks | None = None) -> None:
        self.name = name  # for messages: the job and the attempt
        self._clocks = clocks or Clocks()

    def settle(self) -> None:
        """Its outcome is recorded, or nobody's."""
        self.is_settled = True
        if self._settled is not None:
            self._settled.set()

    async def settled(self) -> None:
        """Wait until it is."""
        if not self.is_settled:
            if self._settled is None:
                self._settled = asyncio.Event()
            await self._settled.wait()

    def stop(self, how: Stop) -> None:
        """End the attempt; the first stop counts, and none counts once the handler is over.

        A handler that doesn't end within ``STOP_GRACE_S`` goes on in its slot, but its
        outcome is settled.
        """
        if self._stop is not None or self._outcome is not None:
            return
        if self._begins:
            self._stop = how
        elif self._task is None:
            self._stop = how
            self._come_to(how)
        elif not self._task.done():
            self._stop = how
            self._interrupt(self._task, how)

    def _interrupt(self, task: asyncio.Task[Any], how: Stop) -> None:
        task.cancel()
        self._clocks.loop.call_later(STOP_GRACE_S, self._settle_without, how)

    async def run(
        self, function: Callable[[], Awaitable[Any]], timeout_s: float, *, at_once: bool = True
    ) -> Outcome:
        """Run the handler and say how it ended. Its clock starts ``at_once``, else when
        ``start_clock`` is called: by a handler that waits for something that isn't its own."""
        if self._outcome is None:
            # A future for whoever waits alone: he may go; outcome and limit stay the attempt's own.
            waiting: asyncio.Future[Outcome] = self._clocks.loop.create_future()
            self.begin(function, timeout_s, partial(_tell, waiting), at_once=at_once)
            return await waiting
        return self._outcome

    def begin(
        self,
        function: Callable[[], Awaitable[Any]],
        timeout_s: float,
        told: Callable[[Outcome], None],
        *,
        at_once: bool = True,
    ) -> None:
        """As ``run``, without somebody who waits: ``told`` is called with how it ended, at once if
        it has."""
        self.began_at = self._clocks.loop.time()
        if self._outcome is not None:
            told(self._outcome)
            return
        self._told = told
        self._timeout_s = timeout_s
        if at_once:  # before its first step, which counts
            self._stop_clock = self._clocks.start(timeout_s, self._out_of_time)
        self._begins = True
        self._task = self._clocks.starts.task(_guarded(function), self.name)
        self._begins = False
        if self._task.done():
            self._ended(self._task)
            return
        self._task.add_done_callback(self._ended)
        if self._stop is not None:
            self._interrupt(self._task, self._stop)

    def start_clock(self) -> None:
        """The handler's code begins: from now on its time counts."""
        if self._stop_clock is None and self._task is not None and not self._task.done():
            self._stop_clock = self._clocks.start(self._timeout_s, self._out_of_time)

    async def over(self) -> None:
        """Wait until the handler's code runs no more; only then is its slot free."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    @property
    def stopped(self) -> bool:
        """Whether it was stopped before its handler was called."""
        return self._task is None and self._outcome is not None

    def when_over(self, then: Callable[[], None]) -> None:
        """Call it when ``over`` would return; at once, if the handler's code has ended."""
        if self._task is None or self._task.done():
            then()
        else:
            self._task.add_done_callback(lambda _: then())

    def _out_of_time(self, limit_s: float) -> None:
        self.stop(TimedOut(limit_s))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if self._stop_clock is not None:
            self._stop_clock()
        error = None if task.cancelled() else task.exception()  # also marks it as seen
        if self._outcome is not None:
            logger.info("%s: the handler has ended now", self.name)
        elif self._stop is not None:
            self._come_to(self._stop)
        elif task.cancelled():
            error = RuntimeError("the handler cancelled itself (asyncio.CancelledError)")
            self._come_to(Failed(error))
        elif error is not None:
            self._come_to(Failed(error))
        else:
            self._come_to(Returned(task.result()))

    def _come_to(self, outcome: Outcome) -> None:
        self._outcome = outcome
        if self._told is not None:
            self._told(outcome)

    def _settle_without(self, how: Stop) -> None:
        if self._outcome is None:
            logger.warning(
                "%s: the handler doesn't end %gs after it was stopped; it keeps its slot until it "
                "does. Let it pass asyncio.CancelledError on",
                self.name,
                STOP_GRACE_S,
            )
            self._come_to(how)


def _tell(waiting: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not waiting.done():
        waiting.set_result(outcome)


async def _guarded(function: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await function()
    except (SystemExit, KeyboardInterrupt) as exc:
        # asyncio would stop the whole loop for these two.
        raise HandlerExit(exc) from exc
