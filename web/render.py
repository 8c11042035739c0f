"""Rows as JSON: what the answers show of a job."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web
from msgspec import UNSET

from agents.callers import Progress
from jobs.model import Job, JobId, Status
from jobs.times import format_time
from web import shapes

_NULL = msgspec.Raw(b"null")
time = format_time


def answer(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON response."""
    return web.Response(
        status=status,
        headers=headers,
        body=msgspec.json.encode(body),
        content_type="application/json",
    )


def raw(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON response that is encoded already, maybe by another worker."""
    kind = "application/json" if status < 400 else "application/problem+json"
    return web.Response(status=status, headers=headers, body=body, content_type=kind)


def short(job_id: JobId, status: str) -> shapes.Short:
    """A job's id and state, as POST answers."""
    return shapes.Short(id=str(job_id), status=Status(status))


def entry(job_id: JobId, job: Job) -> shapes.JobInList:
    """A job as it stands in a list."""
    return shapes.JobInList(
        id=str(job_id),
        status=job.status,
        handler=job.handler or None,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        submitted_at=time(job.submitted_at),
        started_at=time(job.started_at),
        finished_at=time(job.finished_at),
        next_attempt_at=time(job.next_attempt_at),
        error=_text(job.error),
        worker=job.worker,
        replay_of=job.replay_of or UNSET,
    )


def whole(job_id: JobId, job: Job, progress: Progress | None = None) -> shapes.JobStatus:
    """Everything that is told of one job."""
    return shapes.JobStatus(
        id=str(job_id),
        status=job.status,
        handler=job.handler or None,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        submitted_at=time(job.submitted_at),
        started_at=time(job.started_at),
        finished_at=time(job.finished_at),
        next_attempt_at=time(job.next_attempt_at),
        error=_text(job.error),
        result=_NULL if job.result is UNSET else job.result,
        progress=_progress(progress) if job.status is Status.EXECUTING else None,
        worker=job.worker,
        trace=_text(job.trace) or UNSET,
        parent=_text(job.parent) or UNSET,
        replay_of=job.replay_of or UNSET,
        schedule=job.schedule or UNSET,
        scheduled_at=UNSET if job.schedule is None else time(job.scheduled_at),
        result_truncated=UNSET if job.result_bytes is None else True,
        result_bytes=UNSET if job.result_bytes is None else job.result_bytes,
    )


def transition(job_id: JobId, job: Job, at: int) -> shapes.Transition:
    """A job as it stands in an event; ``at``: when it came to that, epoch milliseconds."""
    return shapes.Transition(
        id=str(job_id),
        status=job.status,
        handler=job.handler or None,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        submitted_at=time(job.submitted_at),
        started_at=time(job.started_at),
        finished_at=time(job.finished_at),
        error=_text(job.error),
        worker=job.worker,
        at=time(at),
    )


def _progress(told: Progress | None) -> shapes.Progress | None:
    if told is None:
        return None
    return shapes.Progress(fraction=told.fraction, note=_text(told.note))


def _text(text: str | None) -> str | None:
    # An exception's text may hold lone surrogates (a file's name, say), which JSON can't.
    return None if text is None else text.encode("utf-8", "replace").decode()
