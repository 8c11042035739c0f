"""Tasks for handlers: how the first step of each is taken.

From Python 3.12 on it can be taken at once. A handler that never waits is over then: it costs no
turn of the loop, and the outcomes of jobs that began together are written together.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine
from functools import cached_property
from typing import Any

AT_ONCE_S = 0.02
"""So long, in one turn of the loop, first steps are taken at once. Those of handlers that compute
add up, and meanwhile no answer is read and no time runs out; the rest wait for the next turn."""


class Starts:
    """Makes the tasks of one loop's handlers."""

    def __init__(self) -> None:
        self._since: float | None = None  # ``time.monotonic()`` of this turn's first one

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # asked for each job, it would take its time

    if sys.version_info >= (3, 12):

        def task(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
            """A task; it may be done already."""
            if self._at_once():
                return asyncio.Task(work, loop=self._loop, name=name, eager_start=True)
            return self._loop.create_task(work, name=name)

    else:

        def task(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
            """A task."""
            return self._loop.create_task(work, name=name)

    def _at_once(self) -> bool:
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._loop.call_soon(self._next_turn)
        return now - self._since < AT_ONCE_S

    def _next_turn(self) -> None:
        self._since = None
