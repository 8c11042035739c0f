"""Calling handlers: their context, where they run, and the limits that they have."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NoReturn

import msgspec

from execution.calls import in_thread
from execution.logs import HANDLER_LOGGER, BoundLogger
from execution.processes import Call, Listener, Processes
from jobs import trace
from jobs.context import Context
from jobs.errors import InvalidRequest, NotSubmitted
from jobs.limits import Limit
from jobs.model import Job, JobId
from jobs.registry import Handler, Kind, Registry
from jobs.resources import HOOKS, Resources
from jobs.state import SUSPECT_CRASHES
from jobs.steering import Discard
from log.writer import NotWritten
from settings import Settings

Send = Callable[[dict[str, Any]], Coroutine[Any, Any, JobId]]
_NULL = msgspec.Raw(b"null")
_SUSPECTS = "\0suspects\0"  # before a handler's name


@dataclass(frozen=True, slots=True)
class Progress:
    """The last word of a running attempt: 0 to 1, and a note."""

    fraction: float
    note: str


class Callers:
    """Runs attempts of handlers of every kind."""

    def __init__(
        self, registry: Registry, processes: int, resources: Resources, send: Send
    ) -> None:
        """``send`` puts a follow-up job's request on the topic, and gives its id."""
        self.registry = registry
        self._processes = Processes()
        self._process_limit = Limit(processes)
        self._suspect_limit = Limit(1)
        self._resources = resources
        self._send = send
        self._limits: dict[str, Sequence[Limit]] = {}
        self.rehearsal = False  # what handlers are told: whether to leave the world alone
        self.traced: tuple[str, str] | None = None  # service and worker, if spans are made
        self._progress: dict[JobId, Progress | None] = {}  # of the attempts that run

    @classmethod
    def of(cls, s: Settings, registry: Registry, resources: Resources, send: Send) -> Callers:
        """As the settings say."""
        return cls(registry, s.processes or os.cpu_count() or 1, resources, send)

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # asked for each job, it would take its time

    @cached_property
    def _send_sync(self) -> Callable[[dict[str, Any]], JobId]:
        return partial(self._submit_sync, self._loop)

    def group(self, job: Job) -> str:
        """The line that a job stands in: its handler's, or one of suspects.

        What was executing in two deaths in a row is run one after another, so that the third
        death is counted for the job that brings it, and not for those that were beside it.
        """
        suspect = job.crashes >= SUSPECT_CRASHES
        return _SUSPECTS + job.handler if suspect else job.handler

    def limits(self, group: str) -> Sequence[Limit]:
        """The limits of a line."""
        if group not in self._limits:
            name = group.removeprefix(_SUSPECTS)
            self._limits[group] = (
                self._limits_of(self.registry.get(name))
                if name == group
                else (self._suspect_limit, *self.limits(name))
            )
        return self._limits[group]

    def progress(self, job_id: JobId) -> Progress | None:
        """What a running attempt has said of its progress."""
        return self._progress.get(job_id)

    def ended(self, job_id: JobId) -> None:
        """Forget an attempt's progress."""
        self._progress.pop(job_id, None)

    def close(self) -> None:
        """End the processes."""
        self._processes.close()

    async def call(
        self,
        handler: Handler,
        job_id: JobId,
        row: Job,
        timeout_s: float,
        begun: Callable[[], None] = lambda: None,
    ) -> Any:
        """One attempt; what the handler returns or raises. ``begun`` is called when a process has
        begun it; an attempt of another kind begins at once.

        Raises:
            Discard: the data is not what the handler's annotation says.
        """
        self._progress[job_id] = None
        raw = _NULL if row.data is msgspec.UNSET else row.data
        if handler.kind is Kind.PROCESS:
            return await self._call_process(handler, job_id, row, bytes(raw), timeout_s, begun)
        threaded = handler.kind is Kind.THREAD
        stop = threading.Event() if threaded else None
        context = Context(
            job_id=job_id,
            attempt=row.attempt,
            max_attempts=row.max_attempts,
            submitted_at_ms=row.submitted_at,
            stops_at=time.time() + timeout_s,
            rehearsal=self.rehearsal,
            logger=BoundLogger(job_id, row.attempt, handler.name),
            traceparent=trace.current.get(),
            resources=self._resources,
            report=partial(self._report, job_id),
            send=_not_awaitable if threaded else self._submit,
            send_sync=self._send_sync,
            stopped=_never if stop is None else stop.is_set,
        )
        try:
            data = handler.check(raw)
        except InvalidRequest as exc:  # admitted by other code than this
            raise Discard(str(exc)) from None
        if stop is not None:
            return await in_thread(partial(handler.function, context, data), stop.set)
        return await handler.function(context, data)

    async def _call_process(
        self,
        handler: Handler,
        job_id: JobId,
        row: Job,
        data: bytes,
        timeout_s: float,
        begun: Callable[[], None],
    ) -> Any:
        call = Call(
            module=handler.function.__module__,
            handler=handler.name,
            job_id=job_id,
            attempt=row.attempt,
            max_attempts=row.max_attempts,
            data=data,
            submitted_at_ms=row.submitted_at,
            timeout_s=timeout_s,
            level=logging.getLogger(HANDLER_LOGGER).getEffectiveLevel(),
            traceparent=trace.current.get(),
            traced=self.traced,
            rehearsal=self.rehearsal,
            hooks=tuple(dict.fromkeys(opener.__module__ for opener in HOOKS.openers())),
        )
        loop = self._loop
        listener = Listener(
            report=partial(self._report, job_id),
            submit=partial(self._submit_encoded, loop),
            begun=partial(loop.call_soon_threadsafe, begun),
        )
        return await self._processes.call(call, listener)

    async def _submit(self, request: dict[str, Any]) -> JobId:
        try:
            return await self._send(request)
        except NotWritten as exc:
            text = f"the follow-up job may not have been submitted: {exc}"
            raise NotSubmitted(text) from exc

    def _submit_encoded(self, loop: asyncio.AbstractEventLoop, request: bytes) -> Future[JobId]:
        work = self._submit(msgspec.json.decode(request))
        return asyncio.run_coroutine_threadsafe(work, loop)

    def _submit_sync(self, loop: asyncio.AbstractEventLoop, request: dict[str, Any]) -> JobId:
        if loop is asyncio._get_running_loop():
            raise RuntimeError(
                "ctx.submit_sync would block the event loop: in an async def handler, "
                "await ctx.submit"
            )
        return asyncio.run_coroutine_threadsafe(self._submit(request), loop).result()

    def _report(self, job_id: JobId, fraction: float, note: str) -> None:
        if job_id in self._progress:  # else it is over, and goes on in spite of its stop
            self._progress[job_id] = Progress(fraction, note[:200])  # one store: safe from threads

    def _limits_of(self, handler: Handler | None) -> Sequence[Limit]:
        if handler is None:
            return ()
        own: tuple[Limit, ...] = ()
        if handler.max_running is not None or handler.rate is not None:
            own = (Limit(handler.max_running, handler.rate),)
        # A job waits for a process before its attempt begins: its clock is for its own work.
        return (*own, self._process_limit) if handler.kind is Kind.PROCESS else own


def _never() -> bool:
    return False


def _not_awaitable(request: dict[str, Any]) -> NoReturn:
    raise RuntimeError("a def handler can't await ctx.submit: call ctx.submit_sync")
