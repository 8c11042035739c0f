"""Attempts of a handler with no broker: the parts of a worker between the topic and the table."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from agents.callers import Callers, Progress
from agents.outcomes import Outcomes
from execution.executor import Attempt, Failed, Outcome
from jobs import state
from jobs.codec import decode_request, encode_field
from jobs.durations import NS_PER_S
from jobs.errors import InvalidRequest
from jobs.model import Job, JobId, Malformed, Status
from jobs.registry import HANDLERS, Handler, Kind
from jobs.resources import HOOKS, Resources
from jobs.retry import RetryPolicy
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
) -> Run:
    """``run``, for tests that are coroutines."""
    found = _find(handler)
    settings = load({})  # the defaults; a test doesn't depend on its shell's environment
    shared = Resources()
    for each in resources:
        shared.put(each)
    rehearsal = _Rehearsal(found, settings, shared)
    try:
        if hooks:
            await HOOKS.start(shared)
        return await rehearsal.run(_request(found, data, timeout, ttl), attempts)
    finally:
        rehearsal.callers.close()
        if hooks:
            await HOOKS.stop(shared)


class _Rehearsal:
    def __init__(self, handler: Handler, settings: Settings, resources: Resources) -> None:
        self._handler = handler
        self._submitted: list[dict[str, Any]] = []
        self._default_timeout_ns = round(settings.default_timeout_s * NS_PER_S)
        retry = RetryPolicy(settings.backoff_s, settings.backoff_max_s)
        self._outcomes = Outcomes(retry, settings.max_result_bytes)
        self.callers = _Callers(HANDLERS, 1, resources, self._submit)

    async def run(self, value: bytes, attempts: int) -> Run:
        row = self._admit(value)
        exception: BaseException | None = None
        for _ in range(attempts):
            if row.status is not Status.WAITING:
                break
            row = state.start(row, now=_now_ms(), worker="test")
            outcome = await self._attempt(row)
            exception = outcome.error if isinstance(outcome, Failed) else None
            row = self._outcomes.row(row, self._handler, outcome, _now_ms())
        return self._told(row, exception)

    def _admit(self, value: bytes) -> Job:
        request, now, name = decode_request(value), _now_ms(), self._handler.name
        try:
            self._handler.check(request.data)
        except InvalidRequest as exc:
            return state.reject(Malformed(str(exc), name), submitted_at=now, now=now)
        own = self._handler
        return state.admit(
            request, handler=name, submitted_at=now, ttl=own.reruns, timeout_ns=own.timeout_ns
        )

    async def _attempt(self, row: Job) -> Outcome:
        timeout_ns = self._default_timeout_ns if row.timeout_ns is None else row.timeout_ns
        timeout_s = timeout_ns / NS_PER_S
        attempt = Attempt(f"{self._handler.name} attempt {row.attempt}")
        begun = attempt.start_clock
        call = partial(self.callers.call, self._handler, JOB_ID, row, timeout_s, begun)
        at_once = self._handler.kind is not Kind.PROCESS
        outcome = await attempt.run(call, timeout_s, at_once=at_once)
        await attempt.over()
        return outcome

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


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
