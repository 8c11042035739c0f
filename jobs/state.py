"""THE state machine. No other module gives a row another status.

    [*] --> waiting : admit
    [*] --> failed : reject
    [*] --> canceled : cancel
    waiting --> executing : start
    waiting --> canceled : cancel
    waiting --> failed : reject
    executing --> done : return
    executing --> waiting : rerun
    executing --> waiting : interrupt
    executing --> failed : give_up
    executing --> failed : poison
    executing --> canceled : cancel

A job that finds a slot free when it is admitted takes two arrows in one row: its first row says
executing.

Who moves a job on, and what a crash leaves:

- waiting: the owner starts it when a slot is free and its time has come. After a
  crash the next owner finds the row and does the same.
- executing: the attempt's outcome moves it. After a crash the row still says
  executing; the next owner interrupts it (the attempt is begun again, no rerun is
  used up), or gives it up as poison after ``POISON_CRASHES`` deaths in a row. The death of
  a handler's own process counts the same, and its worker does so.
- done, failed, canceled: final. Nothing leads out of them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from jobs.durations import NS_PER_MS
from jobs.errors import IllegalTransition
from jobs.labels import NO_LABELS, Labels
from jobs.model import Job, JobId, JobRequest, Malformed, ScheduledRun, Status

DEFAULT_TTL = 2  # reruns, where neither the record nor its handler says; the wire's rule
POISON_CRASHES = 3
SUSPECT_CRASHES = POISON_CRASHES - 1  # from then on a job is run apart from others of its sort
MAX_ERROR_CHARS = 2_000
REPEATED = "the same Idempotency-Key as job "  # before the id of the one that has it


class Event(StrEnum):
    """What can happen to a job."""

    __hash__ = str.__hash__  # as that of ``Status``

    ADMIT = "admit"
    REJECT = "reject"
    START = "start"
    RETURN = "return"
    RERUN = "rerun"
    GIVE_UP = "give_up"
    INTERRUPT = "interrupt"
    POISON = "poison"
    CANCEL = "cancel"


_W, _E, _D, _F, _C = (
    Status.WAITING,
    Status.EXECUTING,
    Status.DONE,
    Status.FAILED,
    Status.CANCELED,
)

# ``None`` is a record that has no row yet.
TRANSITIONS: dict[tuple[Status | None, Event], Status] = {
    (None, Event.ADMIT): _W,
    (None, Event.REJECT): _F,  # can't be read, or names an unknown handler
    (None, Event.CANCEL): _C,  # canceled before any worker read it
    (_W, Event.START): _E,
    (_W, Event.CANCEL): _C,
    (_W, Event.REJECT): _F,  # this worker's code has no such handler any more
    (_E, Event.RETURN): _D,
    (_E, Event.RERUN): _W,  # failed or timed out, reruns left
    (_E, Event.GIVE_UP): _F,  # failed or timed out, none left
    (_E, Event.INTERRUPT): _W,
    (_E, Event.POISON): _F,
    (_E, Event.CANCEL): _C,
}

# The same by event first: it is asked three times a job, and a pair would have to be made for each.
_LEADS: dict[Event, dict[Status | None, Status]] = {
    event: {was: to for (was, by), to in TRANSITIONS.items() if by is event} for event in Event
}


def after(status: Status | None, event: Event) -> Status:
    """The status that ``event`` leads to.

    Raises:
        IllegalTransition: there is no such arrow; final states have none.
    """
    try:
        return _LEADS[event][status]
    except KeyError:
        was = "a record with no row" if status is None else f"a job that is {status.value}"
        raise IllegalTransition(f"{was} has no transition {event.value!r}") from None


def admit(
    request: JobRequest,
    *,
    handler: str,
    submitted_at: int,
    ttl: int | None = None,
    timeout_ns: int | None = None,
    run: ScheduledRun | None = None,
    traceparent: str | None = None,
    labels: Labels = NO_LABELS,
) -> Job:
    """The first row of a request. ``ttl`` and ``timeout_ns`` are its handler's, used where
    the request has none of its own; ``run`` is set for a scheduled job; times are epoch ms."""
    reruns = request.ttl if request.ttl is not None else DEFAULT_TTL if ttl is None else ttl
    return Job(
        status=after(None, Event.ADMIT),
        submitted_at=submitted_at,
        handler=handler,
        parent=request.parent,
        schedule=None if run is None else run.schedule,
        scheduled_at=None if run is None else run.at,
        max_attempts=reruns + 1,
        timeout_ns=request.timeout_ns if request.timeout_ns is not None else timeout_ns,
        data=request.data,
        next_attempt_at=_start_time(request, submitted_at),
        traceparent=traceparent,
        key=labels.key,
        digest=labels.digest,
        replay_of=labels.replay_of,
    )


def reject(record: Malformed, *, submitted_at: int, now: int, labels: Labels = NO_LABELS) -> Job:
    """The row of a record that can't be run: failed at once, no attempt is used."""
    return Job(
        status=after(None, Event.REJECT),
        submitted_at=submitted_at,
        handler=record.handler,
        max_attempts=0,
        finished_at=now,
        error=_short(record.reason),
        **labels._asdict(),
    )


def canceled_unread(
    *,
    handler: str,
    submitted_at: int,
    now: int,
    who: str,
    why: str,
    labels: Labels = NO_LABELS,
) -> Job:
    """The row of a record that was canceled before any worker read it; intake finds it."""
    return Job(
        status=after(None, Event.CANCEL),
        submitted_at=submitted_at,
        handler=handler,
        finished_at=now,
        error=_reason(who, why),
        **labels._asdict(),
    )


def repeated(
    *, handler: str, submitted_at: int, now: int, first: JobId, replay_of: str | None
) -> Job:
    """The row of a record whose idempotency key is that of an earlier one; it has no key."""
    return Job(
        status=after(None, Event.CANCEL),
        submitted_at=submitted_at,
        handler=handler,
        finished_at=now,
        error=f"{REPEATED}{first}",
        replay_of=replay_of,
    )


def start(job: Job, *, now: int, worker: str) -> Job:
    """The row of an attempt that begins."""
    return _change(
        job,
        Event.START,
        attempt=job.attempt + 1,
        started_at=now,
        finished_at=None,
        next_attempt_at=None,
        worker=worker,
    )


def returned(job: Job, *, now: int, result: msgspec.Raw, whole_bytes: int | None = None) -> Job:
    """The row of a job whose handler returned. ``whole_bytes``: its size before it was cut."""
    return _final(
        job, Event.RETURN, now, error=None, trace=None, result=result, result_bytes=whole_bytes
    )


def failed(
    job: Job,
    *,
    now: int,
    error: str,
    delay_ms: int,
    again: bool = True,
    trace: str | None = None,
) -> Job:
    """The row after an attempt failed or timed out: waiting for a rerun ``delay_ms`` from
    now, or failed when none is left or the failure is one that no rerun can mend."""
    if again and job.attempt < job.max_attempts:
        return _change(
            job,
            Event.RERUN,
            finished_at=now,
            next_attempt_at=_later(now, delay_ms),
            error=_short(error),
            trace=_clean(trace),
            crashes=0,
        )
    return _final(job, Event.GIVE_UP, now, error=_short(error), trace=_clean(trace))


def refused(job: Job, *, now: int, error: str) -> Job:
    """The row of a waiting job that this worker's code can't run."""
    return _final(job, Event.REJECT, now, error=_short(error))


def interrupted(job: Job, *, now: int, crashed: bool) -> Job:
    """The row after its worker stopped (``crashed``: died) in the middle of an attempt."""
    crashes = job.crashes + 1 if crashed else job.crashes
    if crashes >= POISON_CRASHES:
        # The next owner can't tell: the group has put out who was frozen or cut off, too.
        text = f"poison: {crashes} workers in a row died, or were out of reach, while executing it"
        return _final(job, Event.POISON, now, error=text, crashes=crashes)
    return _interrupt(job, None, crashes=crashes)


def died(job: Job, *, now: int, exit_code: int, delay_ms: int) -> Job:
    """The row after the handler's own process died by itself in the middle of an attempt; the
    attempt is begun again ``delay_ms`` from now."""
    crashes = job.crashes + 1
    why = f"(exit code {exit_code}): killed, out of memory, or it called os._exit"
    if crashes >= POISON_CRASHES:
        text = f"poison: its process died {crashes} times in a row {why}"
        return _final(job, Event.POISON, now, error=text, trace=None, crashes=crashes)
    error = f"its process died {why}"
    again_at = _later(now, delay_ms)
    return _interrupt(job, again_at, crashes=crashes, error=error, trace=None)


def canceled(job: Job, *, now: int, who: str, why: str) -> Job:
    """The row of a waiting or executing job that a person stopped."""
    return _final(job, Event.CANCEL, now, error=_reason(who, why))


def _later(now: int, delay_ms: int) -> int | None:
    """When a job is due again; ``None``: at once, which no worker's wrong clock can put off."""
    return now + delay_ms if delay_ms > 0 else None


def _interrupt(job: Job, again_at: int | None, **fields: Any) -> Job:
    return _change(
        job,
        Event.INTERRUPT,
        attempt=job.attempt - 1,
        started_at=None,
        next_attempt_at=again_at,
        **fields,
    )


def _change(job: Job, event: Event, **fields: Any) -> Job:
    return msgspec.structs.replace(job, status=after(job.status, event), **fields)


def _final(job: Job, event: Event, now: int, crashes: int = 0, **fields: Any) -> Job:
    # Data and trace are dropped: the record has them, and final rows are the many.
    return msgspec.structs.replace(
        job,
        status=after(job.status, event),
        crashes=crashes,
        finished_at=now,
        next_attempt_at=None,
        data=msgspec.UNSET,
        traceparent=None,
        **fields,
    )


def _start_time(request: JobRequest, submitted_at: int) -> int | None:
    if request.delay_ns is not None:
        return submitted_at + request.delay_ns // NS_PER_MS
    if request.run_at is not None:
        return round(request.run_at.timestamp() * 1000)  # int() would be 1 ms early at times
    return None


def _reason(who: str, why: str) -> str:
    return _short(f"canceled by {who}: {why}" if why else f"canceled by {who}")


def _clean(text: str | None) -> str | None:
    # A lone surrogate can't be written to a row.
    return None if text is None else text.encode("utf-8", "replace").decode()


def _short(text: str) -> str:
    text = _clean(text) or ""
    return text if len(text) <= MAX_ERROR_CHARS else text[: MAX_ERROR_CHARS - 3] + "..."
