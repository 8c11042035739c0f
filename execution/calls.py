"""Calling a handler where it belongs: in the loop, in a thread, or in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Threads:
    """Threads for ``def`` handlers, as many as there are slots.

    Nothing can stop a thread from outside. A stopped attempt's ``stopping`` turns true; until
    its function returns, the attempt keeps its slot.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._executor: ThreadPoolExecutor | None = None

    async def call(self, function: Callable[[], Any], stop: threading.Event) -> Any:
        """Run a function in a thread; when cancelled, set ``stop`` and wait for its end."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._count, "handler")
        future = self._executor.submit(function)
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            stop.set()
            while not future.done():
                with contextlib.suppress(asyncio.CancelledError):  # cancelled again: wait on
                    await asyncio.wait([asyncio.wrap_future(future)])
            raise

    def close(self) -> None:
        """Let go of the threads; those that still run a function end with the process."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
