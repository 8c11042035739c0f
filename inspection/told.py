"""Rows, records and letters as JSON has them: the fields of the HTTP answers."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from inspection.briefs import Brief
from inspection.letters import Letter, headers_of
from inspection.transitions import Transition
from jobs.model import Job, JobId
from jobs.times import format_time
from log.reader import Record

_any = msgspec.json.Decoder()


def in_list(job_id: JobId, row: Brief | Job) -> dict[str, Any]:
    """A job as ``GET /job/all`` lists it."""
    told = {
        "id": str(job_id),
        "status": row.status,
        "handler": row.handler or None,
        "attempt": row.attempt,
        "max_attempts": row.max_attempts,
        "submitted_at": format_time(row.submitted_at),
        "started_at": format_time(row.started_at),
        "finished_at": format_time(row.finished_at),
        "next_attempt_at": format_time(row.next_attempt_at),
        "error": _text(row.error),
        "worker": row.worker,
    }
    return told if row.replay_of is None else {**told, "replay_of": row.replay_of}


def whole(job_id: JobId, job: Job) -> dict[str, Any]:
    """A job as ``GET /job/{id}/status`` tells it; the progress of an attempt only its worker
    knows."""
    more = {
        "trace": _text(job.trace),
        "parent": _text(job.parent),
        "replay_of": job.replay_of,
        "schedule": job.schedule,
        "scheduled_at": format_time(job.scheduled_at) if job.schedule else None,
        "result_truncated": None if job.result_bytes is None else True,
        "result_bytes": job.result_bytes,
    }
    listed = {name: value for name, value in in_list(job_id, job).items() if name != "replay_of"}
    result = None if job.result is UNSET else msgspec.Raw(bytes(job.result))
    present = {name: value for name, value in more.items() if value is not None}
    return {**listed, "result": result, **present}


def event(of: Transition) -> dict[str, Any]:
    """A transition as ``GET /job/events`` tells it."""
    told = in_list(of.job_id, of.job)
    left_out = ("next_attempt_at", "replay_of")
    return {**{k: v for k, v in told.items() if k not in left_out}, "at": format_time(of.at)}


def transition(of: Transition) -> dict[str, Any]:
    """A transition as ``GET /job/{id}/history`` tells it."""
    job = of.job
    return {
        "at": format_time(of.at),
        "status": job.status,
        "attempt": job.attempt,
        "error": _text(job.error),
        "worker": job.worker,
        "next_attempt_at": format_time(job.next_attempt_at),
        "fence": {"number": of.fence.number, "instance": of.fence.instance},
        "partition": of.job_id.partition,
        "offset": of.place,
    }


def record(job_id: JobId, topic: str, found: Record) -> dict[str, Any]:
    """A job's record as ``GET /job/{id}/record`` tells it: JSON in ``value``, else ``text``."""
    told = {
        "id": str(job_id),
        "topic": topic,
        "partition": job_id.partition,
        "offset": found.offset,
        "timestamp": format_time(found.timestamp),
        "key": None if found.key is None else found.key.decode("utf-8", "replace"),
        "headers": headers_of(found.headers),
        "value": None,
    }
    if found.value is None:
        return told
    try:
        str(found.value, "utf-8")
        _any.decode(found.value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {**told, "text": found.value.decode("utf-8", "replace")}
    return {**told, "value": msgspec.Raw(found.value)}  # as it stands: no number loses digits


def letter(of: Letter) -> dict[str, Any]:
    """A dead letter as ``GET /job/dead`` lists it."""
    return {
        "partition": of.place.partition,
        "offset": of.place.offset,
        "id": None if of.job_id is None else str(of.job_id),
        "at": format_time(of.at),
        "reason": of.reason,
        "source": None if of.source is None else of.source._asdict(),
        "handler": of.handler,
        "attempts": of.attempts,
    }


def _text(text: str | None) -> str | None:
    # An exception's text may hold lone surrogates (a file's name, say), which JSON can't.
    return None if text is None else text.encode("utf-8", "replace").decode()
