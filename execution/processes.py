"""Handlers in processes of their own (pebble): a timeout or a cancel kills the process, and the
pool starts another one."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import threading
import time
import traceback
from typing import NamedTuple

import msgspec
from pebble import ProcessExpired, ProcessPool

from jobs.codec import encode_json
from jobs.context import Context
from jobs.errors import InvalidRequest
from jobs.model import JobId
from jobs.registry import HANDLERS
from jobs.steering import Discard, Retry

PARENT_LOOK_S = 1.0


class Call(NamedTuple):
    """What a process needs to run an attempt; all of it can be pickled."""

    module: str
    handler: str
    job_id: JobId
    attempt: int
    max_attempts: int
    data: bytes


class Answer(NamedTuple):
    """What came of it: a result as JSON, or an error. ``steering``: ``retry`` or ``discard``."""

    result: bytes | None = None
    error: str = ""
    trace: str = ""
    steering: str = ""
    delay_ns: int | None = None
    worth_a_rerun: bool = True


class HandlerFailed(Exception):
    """A handler's exception, as its process told it; the text has its type and message."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.error)
        self.answer = answer


class ProcessDied(Exception):
    """The process ended in the middle of an attempt: killed, out of memory, or ``os._exit``."""


class Processes:
    """Processes for ``process=True`` handlers, started when the first one is run."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPool | None = None

    async def call(self, call: Call) -> msgspec.Raw:
        """Run an attempt; cancelling it kills the process.

        Raises:
            Retry, Discard: the handler steers.
            HandlerFailed: it raised anything else.
            ProcessDied: its process ended.
        """
        if self._pool is None:
            # spawn: a fork would copy the event loop, its threads' locks and its sockets.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPool(
                max_workers=self._count,
                context=context,
                initializer=_end_with,
                initargs=[os.getpid()],
            )
        try:
            answer: Answer = await asyncio.wrap_future(self._pool.schedule(_run, args=[call]))
        except ProcessExpired as exc:
            raise ProcessDied(
                f"the handler's process ended in the middle of the attempt (exit code "
                f"{exc.exitcode}): killed, out of memory, or it called os._exit"
            ) from None
        if answer.result is not None:
            return msgspec.Raw(answer.result)
        if answer.steering == "retry":
            raise Retry(answer.error, delay=answer.delay_ns)
        if answer.steering == "discard":
            raise Discard(answer.error)
        raise HandlerFailed(answer)

    def close(self) -> None:
        """Kill the processes."""
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call] # pebble leaves it out
            self._pool.join()


def _end_with(worker: int) -> None:
    """In the process, first of all: end when the worker has died, which no one else would tell
    a handler that is busy. A thread that looks, as there is no signal for it on every system."""

    def watch() -> None:
        while os.getppid() == worker:
            time.sleep(PARENT_LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run(call: Call) -> Answer:
    """In the process: import the handler's module, run the function."""
    try:
        importlib.import_module(call.module)
        handler = HANDLERS.get(call.handler)
        if handler is None:
            raise LookupError(f"module {call.module} registers no handler {call.handler!r}")
        context = Context(job_id=call.job_id, attempt=call.attempt, max_attempts=call.max_attempts)
    except Exception as exc:
        return Answer(error=f"{type(exc).__name__}: {exc}", trace=traceback.format_exc())
    try:
        data = handler.decode(msgspec.Raw(call.data))
    except InvalidRequest as exc:  # admitted by other code than this
        return Answer(error=str(exc), steering="discard")
    try:
        value = handler.function(context, data)
        return Answer(result=bytes(encode_json(value)))
    except Retry as exc:
        return Answer(error=exc.reason, steering="retry", delay_ns=exc.delay_ns)
    except Discard as exc:
        return Answer(error=exc.reason, steering="discard")
    except InvalidRequest as exc:
        error = f"the handler's result can't be kept: {exc}"
        return Answer(error=error, worth_a_rerun=False)
    except Exception as exc:
        worth = handler.worth_a_rerun(exc)
        return Answer(error=_told(exc), trace=_traced(exc), worth_a_rerun=worth)


def _told(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:
        return f"{type(error).__name__} (it can't be shown: its __str__ raises)"


def _traced(error: Exception) -> str:
    return "".join(traceback.format_tb(error.__traceback__))
