"""One attempt in, one outcome out.

Four endings that never mix, and one that is none of them: returned, failed, timed
out, canceled (a person's stop), interrupted (the worker's stop). Whatever a handler
raises is an outcome, never a crash.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from jobs.errors import told

logger = logging.getLogger(__name__)

STOP_GRACE_S = 1.0
"""How long a handler may take to end when stopped before its outcome is recorded without it."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The handler returned ``value``."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler raised."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The attempt took longer than its limit."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class Canceled:
    """A person stopped the job."""

    who: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The worker stopped the attempt: it drains, or has lost the job's partition."""


Stop = TimedOut | Canceled | Interrupted
Outcome = Returned | Failed | Stop


class HandlerExit(Exception):
    """A handler called ``sys.exit`` or raised ``KeyboardInterrupt``: its failure, not ours."""


class Attempt:
    """One run of a handler. It can be stopped at any time, also before it has begun."""

    def __init__(self, name: str) -> None:
        self.name = name  # for messages: the job and the attempt
        self.settled = asyncio.Event()  # for who runs it: its outcome is recorded, or nobody's
        self._stop: Stop | None = None
        self._timeout_s = 0.0
        self._limit: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def stop(self, how: Stop) -> None:
        """End the attempt; the first stop counts, and none counts once the handler is over.

        A handler that doesn't end within ``STOP_GRACE_S`` goes on in its slot, but its
        outcome is settled.
        """
        if self._stop is not None or self._outcome.done():
            return
        if self._task is None:
            self._stop = how
            self._outcome.set_result(how)
        elif not self._task.done():
            self._stop = how
            self._task.cancel()
            asyncio.get_running_loop().call_later(STOP_GRACE_S, self._settle_without, how)

    async def run(
        self, function: Callable[[], Awaitable[Any]], timeout_s: float, *, at_once: bool = True
    ) -> Outcome:
        """Run the handler and say how it ended. Its clock starts ``at_once``, else when
        ``start_clock`` is called: by a handler that waits for something that isn't its own."""
        if not self._outcome.done():
            loop = asyncio.get_running_loop()
            self._timeout_s = timeout_s
            self._task = loop.create_task(_guarded(function), name=self.name)
            self._task.add_done_callback(self._ended)
            if at_once:
                self.start_clock()
        # Shielded: whoever waits may go; outcome and limit stay the attempt's own.
        return await asyncio.shield(self._outcome)

    def start_clock(self) -> None:
        """The handler's code begins: from now on its time counts."""
        if self._limit is None and self._task is not None and not self._task.done():
            loop, limit_s = asyncio.get_running_loop(), self._timeout_s
            self._limit = limit = loop.call_later(limit_s, self.stop, TimedOut(limit_s))
            self._task.add_done_callback(lambda _: limit.cancel())

    async def over(self) -> None:
        """Wait until the handler's code runs no more; only then is its slot free."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    def _ended(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()  # also marks it as seen
        if self._outcome.done():
            logger.info("%s: the handler has ended now", self.name)
            return
        if self._stop is not None:
            self._outcome.set_result(self._stop)
        elif task.cancelled():
            error = RuntimeError("the handler cancelled itself (asyncio.CancelledError)")
            self._outcome.set_result(Failed(error))
        elif error is not None:
            self._outcome.set_result(Failed(error))
        else:
            self._outcome.set_result(Returned(task.result()))

    def _settle_without(self, how: Stop) -> None:
        if not self._outcome.done():
            logger.warning(
                "%s: the handler doesn't end %gs after it was stopped; it keeps its slot until it "
                "does. Let it pass asyncio.CancelledError on",
                self.name,
                STOP_GRACE_S,
            )
            self._outcome.set_result(how)


async def _guarded(function: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await function()
    except (SystemExit, KeyboardInterrupt) as exc:
        # asyncio would stop the whole loop for these two.
        raise HandlerExit(f"the handler raised {told(exc)}") from exc
