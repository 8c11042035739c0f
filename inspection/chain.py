"""A job's rows, back from the newest one: each names the place of the one before it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from inspection.transitions import Transition
from jobs.codec import decode_row
from jobs.model import JobId
from log.reader import LogReader, Record
from tables.fold import AGAIN_HEADER, Fences, fence_of, row_key
from tables.places import place_before

NEAR = 2_000  # records before a row that are looked at for the one before it

Read = Callable[[int], Awaitable[Record | None]]
"""The record at a place of the job's changelog partition. It may raise ``TooSlow``."""


class TooSlow(Exception):
    """There is no time to read more."""


async def follow(
    job_id: JobId,
    submitted_at: int,
    newest: Record,
    read: Read,
    nearest: Read,
    found: list[Transition],
) -> str | None:
    """Gather the transitions of a job, newest first.

    Args:
        nearest: the job's last row before a place, as ``nearest`` finds it.

    Returns:
        What is missing of them; ``None``: nothing.
    """
    key = row_key(job_id)
    at: Record | None = newest
    while at is not None:
        transition = as_transition(job_id, at)
        if at.key != key or transition is None or transition.job.submitted_at != submitted_at:
            return None  # of a job that had this place before, when the topic was another one
        if all(name != AGAIN_HEADER for name, _ in at.headers):
            found.append(transition)
        place, before = at.offset, place_before(at)
        if before == -1:
            return None
        try:
            at = await nearest(place) if before is None else await read(before)
        except TooSlow:
            return f"what was before place {place} takes too long to read"
        if at is None and before is None:
            return f"what was before place {place} isn't known: no row near it is the job's"
        if at is None:
            return f"what was before place {place} has been compacted away (see JOBS_HISTORY)"
    return None


async def nearest(reader: LogReader, changelog: str, job_id: JobId, place: int) -> Record | None:
    """The job's last valid row before a place, if it isn't far away. A row doesn't name the one
    before it if that was on its way still: a cancel may come in the moment of a start.

    Raises:
        KafkaError: it can't be read.
    """
    key = row_key(job_id)
    found: Record | None = None
    fences = Fences()
    for each in await reader.read(changelog, job_id.partition, max(0, place - NEAR), place):
        if fences.counts(each) and each.key == key:
            found = each if each.value else None
    return found


def as_transition(job_id: JobId, record: Record) -> Transition | None:
    """A row's record as a transition; ``None``: it is none."""
    fence = fence_of(record)
    if fence is None:
        return None
    try:
        job = decode_row(record.value or b"")
    except msgspec.DecodeError:
        return None
    return Transition(job_id, record.offset, record.timestamp, job, fence)
