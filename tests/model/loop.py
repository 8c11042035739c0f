"""An event loop that runs one callback at a time, when it is told to.

A worker of the model has one of its own. So it can be stopped between any two steps of its
tasks: to be paused, or never to go on, as by a ``kill -9``.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


class Clock:
    """The time of a history; it stands still unless it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def time_ns(self) -> int:
        """As ``time.time_ns``."""
        return round(self.now_s * 1e9)


class StepLoop:
    """As much of an event loop as tasks, futures and timers need: not a subclass of asyncio's,
    which has forty more methods."""

    def __init__(self, clock: Clock) -> None:
        self.errors: list[str] = []  # what tasks raised and nobody looked at
        self.clock = clock
        self.dead = False
        self._as_loop: Any = self
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = itertools.count()
        self._tasks: dict[asyncio.Task[Any], None] = {}

    # What asyncio calls

    def time(self) -> float:
        return self.clock.now_s

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.dead

    def is_closed(self) -> bool:
        return False

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self._as_loop, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self._as_loop, context)
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self._as_loop)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Any = None
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self._as_loop, name=name, context=context)
        self._tasks[task] = None
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.dead:
            self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    # What the model calls

    @contextmanager
    def running(self) -> Iterator[None]:
        """Be the running loop."""
        asyncio._set_running_loop(self._as_loop)
        try:
            yield
        finally:
            asyncio._set_running_loop(None)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task."""
        with self.running():
            return self.create_task(work)

    def step(self) -> bool:
        """Run one callback, timers that are due included. False: there is none."""
        while self._timers and self._timers[0][0] <= self.clock.now_s:
            self._ready.append(heapq.heappop(self._timers)[2])
        while self._ready:
            handle = self._ready.popleft()
            if not handle.cancelled():
                with self.running():
                    handle._run()
                return True
        return False

    def tasks(self) -> list[str]:
        """What is going on, for messages."""
        return sorted(task.get_coro().__qualname__ for task in self._tasks)  # type: ignore[union-attr]

    def kill(self, cut_off: Callable[[], None]) -> None:
        """Never run again. What tasks would do at their end reaches nobody: ``cut_off`` sees to
        it before they are closed."""
        self.dead = True
        cut_off()
        with self.running():
            while self._tasks:  # what they do at their end may start others
                task, _ = self._tasks.popitem()
                task._log_destroy_pending = False  # type: ignore[attr-defined] # asyncio's own
                try:
                    task.get_coro().close()
                except Exception:
                    pass  # no process ends in this way: nothing follows from what it raises
        self._ready.clear()
        self._timers.clear()
