"""Rows as JSON: what the answers show of a job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from aiohttp import web

from agents.callers import Progress
from jobs.model import Job, JobId, Status

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


def short(job_id: JobId, status: str) -> dict[str, str]:
    """A job's id and state, as POST answers."""
    return {"id": str(job_id), "status": status}


def entry(job_id: JobId, job: Job) -> dict[str, Any]:
    """A job as it stands in a list."""
    return {
        "id": str(job_id),
        "status": job.status.value,
        "handler": job.handler or None,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "submitted_at": time(job.submitted_at),
        "started_at": time(job.started_at),
        "finished_at": time(job.finished_at),
        "next_attempt_at": time(job.next_attempt_at),
        "error": _text(job.error),
        "worker": job.worker,
    }


def whole(job_id: JobId, job: Job, progress: Progress | None = None) -> dict[str, Any]:
    """Everything that is told of one job."""
    body = entry(job_id, job)
    worker = body.pop("worker")  # last
    body["result"] = None if job.result is msgspec.UNSET else job.result
    shown = progress if job.status is Status.EXECUTING else None
    body["progress"] = shown and {"fraction": shown.fraction, "note": _text(shown.note)}
    body["worker"] = worker
    if job.trace is not None:
        body["trace"] = _text(job.trace)
    if job.parent is not None:
        body["parent"] = _text(job.parent)
    if job.schedule is not None:
        body["schedule"] = job.schedule
        body["scheduled_at"] = time(job.scheduled_at)
    if job.result_bytes is not None:
        body["result_truncated"] = True
        body["result_bytes"] = job.result_bytes
    return body


def time(ms: int | None) -> str | None:
    """Epoch milliseconds as RFC 3339 in UTC.

    ``None`` for what no calendar has: a record's timestamp is whatever its producer wrote.
    """
    if ms is None or ms < 0:  # -1 is Kafka's "none"
        return None
    try:
        at = _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(text: str | None) -> str | None:
    # An exception's text may hold lone surrogates (a file's name, say), which JSON can't.
    return None if text is None else text.encode("utf-8", "replace").decode()
