"""From a record of ``jobs`` to its first row: what a job must be to run, by our handlers."""

from __future__ import annotations

from jobs import state
from jobs.codec import decode_record
from jobs.errors import InvalidRequest
from jobs.labels import Labels
from jobs.model import Job, JobRequest, Malformed, ScheduledRun
from jobs.registry import DEFAULT_HANDLER, Handler, Registry
from jobs.trace import traceparent_of
from log.reader import Record

_ROW_OVERHEAD = 4_000  # bytes of a row besides its data, error text included


def handler_name(request: JobRequest) -> str:
    """Which handler it is for."""
    return request.handler or DEFAULT_HANDLER


def check(request: JobRequest, registry: Registry, max_row_bytes: int | None = None) -> Handler:
    """Whether a handler takes it; which one.

    Args:
        max_row_bytes: what a row may have, if its data must fit in.

    Raises:
        InvalidRequest: there is no such handler, or the data isn't for it; names the field.
    """
    name, size = handler_name(request), len(request.data)
    handler = registry.get(name)
    if handler is None:
        text = f"handler: no handler is named {name!r} (known: {registry.names()})"
        raise InvalidRequest(text, "handler")
    if max_row_bytes is not None and size > max_row_bytes - _ROW_OVERHEAD:
        raise InvalidRequest(
            f"data: {size} bytes are more than a row can hold ({max_row_bytes - _ROW_OVERHEAD}); "
            "raise JOBS_MAX_ROW and the changelog's max.message.bytes, or send a reference",
            "data",
        )
    handler.verify(request.data)
    return handler


def first_row(record: Record, registry: Registry, max_row_bytes: int, now: int) -> Job:
    """The row of a record that is read for the first time: waiting, or failed at once. ``now``:
    epoch ms."""
    labels = Labels.of(record.headers, record.value)
    request = decode_record(record.key, record.value)
    if not isinstance(request, Malformed):
        try:
            handler = check(request, registry, max_row_bytes)
        except InvalidRequest as exc:
            request = Malformed(str(exc), handler_name(request))
        else:
            return state.admit(
                request,
                handler=handler.name,
                submitted_at=record.timestamp,
                ttl=handler.reruns,
                timeout_ns=handler.timeout_ns,
                run=ScheduledRun.of(record.headers),
                traceparent=traceparent_of(record.headers) if record.headers else None,
                labels=labels,
            )
    return state.reject(request, submitted_at=record.timestamp, now=now, labels=labels)
