"""Jobs that no worker has read yet: they have a record and no row."""

from __future__ import annotations

import msgspec

from jobs import state
from jobs.codec import decode_record
from jobs.labels import Labels
from jobs.model import Job, JobRequest, Malformed
from jobs.registry import DEFAULT_HANDLER, HANDLERS
from log.reader import Record


def unread_row(found: Record) -> Job:
    """The row that intake is going to make of a record, as far as it can be told before.

    One that can't be read is waiting like the others: it fails when intake comes to it.
    """
    request = decode_record(found.key, found.value)
    labels = Labels.of(found.headers, found.value)
    if isinstance(request, Malformed):
        empty = JobRequest(data=msgspec.Raw(b"null"))
        return state.admit(empty, handler="", submitted_at=found.timestamp, labels=labels)
    name = request.handler or DEFAULT_HANDLER
    handler = HANDLERS.get(name)
    return state.admit(
        request,
        handler=name,
        submitted_at=found.timestamp,
        ttl=None if handler is None else handler.reruns,
        labels=labels,
    )
