"""Attempts of a handler with no broker: the parts of a worker between the topic and the table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agents.admission import first_row
from agents.callers import Callers, Progress
from agents.limits import Limits
from execution.executor import Failed
from jobs.codec import decode_request, encode_field
from jobs.model import Job, JobId, Status
from jobs.registry import HANDLERS, Handler
from jobs.resources import HOOKS, Resources
from log.reader import Record
from rehearsal.alone import Alone, now_ms
from settings import Settings, load

JOB_ID = JobId(0, 0)
"""The id of the job that is run; its follow-ups are 0-1, 0-2 and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of it.

    Attributes:
        status: ``done`` or ``failed``; ``waiting`` when it would be rerun, but ``attempts``
            are over.
        result: what the handler returned, after it has been JSON. ``None`` if it hasn't.
        error: the text that the job would show. The last failed attempt's, while it waits.
        exception: what an ``async def`` or ``def`` handler raised in the last attempt; a
            process tells only a text.
        attempts: how many were begun. 0: the data was refused before the first.
        max_attempts: how many it would have had.
        rerun_in_s: seconds until the next attempt, of one that waits.
        progress: all that was told by ``ctx.progress``, in order; as 0 to 1, and a note. A process
            tells the newest ten times a second.
        submitted: the follow-ups of ``ctx.submit`` and ``ctx.submit_sync``, as they would be on
            the topic.
    """

    status: Status
    result: Any
    error: str | None
    exception: BaseException | None
    attempts: int
    max_attempts: int
    rerun_in_s: float | None
    progress: list[tuple[float, str]] = field(default_factory=list)
    submitted: list[dict[str, Any]] = field(default_factory=list)


def run(
    handler: str | Callable[..., Any],
    data: Any = None,
    *,
    attempts: int = 1,
    timeout: int | str | None = None,
    ttl: int | None = None,
    resources: Iterable[object] = (),
    hooks: bool = False,
    rehearsal: bool = False,
) -> Run:
    """Run one attempt of a job, or several, as a worker would, and say what came of it.

    Data is checked, the time limit counts, a process is a real one. Reruns are begun at once;
    ``rerun_in_s`` tells how long a worker would have waited. A ``def`` handler that goes on after
    its time limit is waited for, since nothing can stop its thread.

    Args:
        handler: its name, or the function itself.
        data: what JSON can hold, or an object of the type that the handler takes.
        attempts: run so many at most, while the job has reruns left.
        timeout: of one attempt, as on the wire; the handler's own if ``None``, else 3 s.
        ttl: reruns allowed, as on the wire; the handler's own if ``None``, else 2.
        resources: objects that ``ctx.get`` finds, by their types; not in a process, which opens
            its own by the ``@startup`` functions that are ``def``.
        hooks: run the ``@startup`` functions before, and the ``@shutdown`` functions after.
        rehearsal: what ``ctx.rehearsal`` says.

    Raises:
        LookupError: there is no such handler.
        InvalidRequest: ``timeout`` or ``ttl`` is wrong, or data has no JSON form.
        RuntimeError: called from a coroutine; await ``run_async`` there.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError("run() starts an event loop; where one runs, await run_async()")
    return asyncio.run(
        run_async(
            handler,
            data,
            attempts=attempts,
            timeout=timeout,
            ttl=ttl,
            resources=resources,
            hooks=hooks,
            rehearsal=rehearsal,
        )
    )


async def run_async(
    handler: str | Callable[..., Any],
    data: Any = None,
    *,
    attempts: int = 1,
    timeout: int | str | None = None,
    ttl: int | None = None,
    resources: Iterable[object] = (),
    hooks: bool = False,
    rehearsal: bool = False,
) -> Run:
    """``run``, for tests that are coroutines."""
    found = _find(handler)
    settings = load({})  # the defaults; a test doesn't depend on its shell's environment
    shared = Resources()
    for each in resources:
        shared.put(each)
    trial = _Trial(found, settings, shared, rehearsal=rehearsal)
    try:
        if hooks:
            await HOOKS.start(shared)
        return await trial.run(_request(found, data, timeout, ttl), attempts)
    finally:
        trial.callers.close()
        if hooks:
            await HOOKS.stop(shared)


class _Trial:
    def __init__(
        self, handler: Handler, settings: Settings, resources: Resources, *, rehearsal: bool
    ) -> None:
        self._handler = handler
        self._max_row_bytes = settings.max_row_bytes
        self._submitted: list[dict[str, Any]] = []
        self.callers = _Callers(HANDLERS, 1, resources, self._submit)
        self.callers.rehearsal = rehearsal
        self._alone = Alone(self.callers, Limits.of(settings), "test")

    async def run(self, value: bytes, attempts: int) -> Run:
        decode_request(value)  # what is wrong with timeout or ttl is the caller's mistake
        record = Record(JOB_ID.offset, now_ms(), None, value, ())
        row = first_row(record, HANDLERS, self._max_row_bytes, now_ms())
        exception: BaseException | None = None
        for _ in range(attempts):
            if row.status is not Status.WAITING:
                break
            row, outcome, _ = await self._alone.attempt(JOB_ID, row)
            exception = outcome.error if isinstance(outcome, Failed) else None
        return self._told(row, exception)

    async def _submit(self, request: dict[str, Any]) -> JobId:
        value = msgspec.json.encode(request)
        decode_request(value)
        self._submitted.append(msgspec.json.decode(value))
        return JobId(JOB_ID.partition, JOB_ID.offset + len(self._submitted))

    def _told(self, row: Job, exception: BaseException | None) -> Run:
        due, ended = row.next_attempt_at, row.finished_at
        waits = row.status is Status.WAITING and due is not None and ended is not None
        return Run(
            status=row.status,
            result=None if row.result is msgspec.UNSET else msgspec.json.decode(row.result),
            error=row.error,
            exception=exception,
            attempts=row.attempt,
            max_attempts=row.max_attempts,
            rerun_in_s=((due or 0) - (ended or 0)) / 1000 if waits else None,
            progress=[(told.fraction, told.note) for told in self.callers.told],
            submitted=self._submitted,
        )


class _Callers(Callers):
    """Keeps every word of progress; a worker keeps the last."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.told: list[Progress] = []

    def _report(self, job_id: JobId, fraction: float, note: str) -> None:
        super()._report(job_id, fraction, note)
        last = self.progress(job_id)
        if last is not None:
            self.told.append(last)


def _find(handler: str | Callable[..., Any]) -> Handler:
    if isinstance(handler, str):
        found = HANDLERS.get(handler)
        if found is None:
            raise LookupError(
                f"no handler is named {handler!r} (known: {HANDLERS.names()}); "
                "import the module that defines it"
            )
        return found
    for each in HANDLERS:
        if each.function is handler:
            return each
    name = getattr(handler, "__qualname__", repr(handler))
    raise LookupError(f"{name} is no handler: put @handler(…) over it")


def _request(handler: Handler, data: Any, timeout: int | str | None, ttl: int | None) -> bytes:
    asked = {"handler": handler.name, "data": data, "timeout": timeout, "ttl": ttl}
    return msgspec.json.encode({name: encode_field(name, value) for name, value in asked.items()})
