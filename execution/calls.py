"""Calling ``def`` handlers: each in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from jobs.errors import told


async def in_thread(function: Callable[[], Any], stop: Callable[[], None]) -> Any:
    """Run a function in a thread; when cancelled, call ``stop`` and wait for its end.

    Nothing can stop a thread from outside: until its function returns, the attempt keeps its
    slot. The threads are daemons, so that one which never returns can't keep the worker from
    ending; an executor's would be joined at exit.
    """
    future: Future[Any] = Future()
    context = contextvars.copy_context()  # a trace goes on in the thread

    def run() -> None:
        try:
            future.set_result(context.run(function))
        except StopIteration as exc:  # a coroutine can't raise it
            future.set_exception(RuntimeError(f"the handler raised {told(exc)}"))
        except BaseException as exc:
            future.set_exception(exc)

    threading.Thread(target=run, name="handler", daemon=True).start()
    ended = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(ended)
    except asyncio.CancelledError:
        stop()
        while not ended.done():
            with contextlib.suppress(asyncio.CancelledError):  # cancelled again: wait on
                await asyncio.wait([ended])
        if not ended.cancelled():
            ended.exception()  # what it came to is nobody's; asyncio would tell us so
        raise
