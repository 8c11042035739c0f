"""Calling handlers: their context, where they run, and the limits that they have."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from execution.calls import in_thread
from execution.processes import Call, Processes
from jobs.context import Context
from jobs.errors import InvalidRequest
from jobs.limits import Limit
from jobs.model import Job, JobId
from jobs.registry import Handler, Kind, Registry
from jobs.resources import Resources
from jobs.steering import Discard
from settings import Settings

logger = logging.getLogger("jobs.handler")

Send = Callable[[dict[str, Any]], Awaitable[JobId]]
_NULL = msgspec.Raw(b"null")


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
        self._processes = Processes(processes)
        self._process_limit = Limit(processes)
        self._resources = resources
        self._send = send
        self._limits: dict[str, Sequence[Limit]] = {}
        self._progress: dict[JobId, Progress] = {}

    @classmethod
    def of(cls, s: Settings, registry: Registry, resources: Resources, send: Send) -> Callers:
        """As the settings say."""
        return cls(registry, s.processes or os.cpu_count() or 1, resources, send)

    def limits(self, name: str) -> Sequence[Limit]:
        """The limits of a handler, by its name."""
        if name not in self._limits:
            self._limits[name] = self._limits_of(self.registry.get(name))
        return self._limits[name]

    def progress(self, job_id: JobId) -> Progress | None:
        """What a running attempt has said of its progress."""
        return self._progress.get(job_id)

    def ended(self, job_id: JobId) -> None:
        """Forget an attempt's progress."""
        self._progress.pop(job_id, None)

    def close(self) -> None:
        """End the processes."""
        self._processes.close()

    async def call(self, handler: Handler, job_id: JobId, row: Job, timeout_s: float) -> Any:
        """One attempt; what the handler returns or raises.

        Raises:
            Discard: the data is not what the handler's annotation says.
        """
        raw = _NULL if row.data is msgspec.UNSET else row.data
        if handler.kind is Kind.PROCESS:
            module = handler.function.__module__
            call = Call(module, handler.name, job_id, row.attempt, row.max_attempts, bytes(raw))
            return await self._processes.call(call)
        stop = threading.Event()
        context = Context(
            job_id=job_id,
            attempt=row.attempt,
            max_attempts=row.max_attempts,
            deadline=datetime.now(UTC) + timedelta(seconds=timeout_s),
            logger=_BoundLogger(logger, {"job": f"{job_id} attempt {row.attempt}"}),
            resources=self._resources,
            report=partial(self._report, job_id),
            send=self._send,
            stopped=stop.is_set,
        )
        try:
            data = handler.check(raw)
        except InvalidRequest as exc:  # admitted by other code than this
            raise Discard(str(exc)) from None
        if handler.kind is Kind.THREAD:
            return await in_thread(partial(handler.function, context, data), stop)
        return await handler.function(context, data)

    def _report(self, job_id: JobId, fraction: float, note: str) -> None:
        self._progress[job_id] = Progress(fraction, note[:200])  # one store: safe from threads

    def _limits_of(self, handler: Handler | None) -> Sequence[Limit]:
        if handler is None:
            return ()
        own: tuple[Limit, ...] = ()
        if handler.max_running is not None or handler.rate is not None:
            own = (Limit(handler.max_running, handler.rate),)
        # A job waits for a process before its attempt begins: its clock is for its own work.
        return (*own, self._process_limit) if handler.kind is Kind.PROCESS else own


class _BoundLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts the job in front of each message."""

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        return f"job {self.extra['job'] if self.extra else ''}: {msg}", kwargs
