"""Jobs of a slice of the log, each with its record and with how it ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import closing
from typing import NamedTuple

import msgspec

from inspection.ends import Ends, ends_of
from inspection.slices import Advance, Extent, no_one, scan
from inspection.wanted import Wanted
from jobs.asked import asked_handler
from jobs.codec import decode_row
from jobs.model import Job, JobId, Status
from log.reader import LogReader, Record


class Chosen(NamedTuple):
    """A job. ``row``: its final row; ``None`` where it isn't final, or nobody has read it.
    ``status``: ``None`` if it was final, and nothing more is known of it any more."""

    job_id: JobId
    record: Record
    status: Status | None
    row: Job | None


class _Row(NamedTuple):
    """What ``Wanted`` looks at, of a job with no final row."""

    status: Status
    handler: str
    submitted_at: int
    error: str | None = None


def narrowed(all_of_it: Mapping[int, Extent], wanted: Wanted) -> dict[int, Extent]:
    """As much of each partition as has what is asked for by id; not those that have nothing."""
    found = {}
    for n, extent in all_of_it.items():
        ranges = [each for each in wanted.ids if each.partition == n]
        start, stop = extent
        if ranges:
            start = max(start, min(each.first for each in ranges))
            stop = min(stop, max(each.last for each in ranges) + 1)
        elif wanted.ids:
            continue
        if start < stop:
            found[n] = Extent(start, stop)
    return found


async def chosen(
    reader: LogReader,
    topics: tuple[str, str],
    slices: Mapping[int, Extent],
    wanted: Wanted,
    advance: Advance = no_one,
) -> AsyncGenerator[Chosen, None]:
    """The jobs of these slices that are asked for, one partition after the other.

    Args:
        topics: jobs, and the changelog.
        advance: told of places of the jobs topic.

    Raises:
        KafkaError: the log can't be read.
    """
    for n, extent in sorted(slices.items()):
        with closing(await ends_of(reader, topics, n, extent)) as ends:
            async for records in scan(reader, topics[0], n, extent, advance):
                for record in records:
                    job = _job(JobId(n, record.offset), record, ends)
                    if wanted.has_id(job.job_id) and _matches(job, wanted):
                        yield job


def _job(job_id: JobId, record: Record, ends: Ends) -> Chosen:
    value = ends.row(record.offset)
    if value is not None:
        try:
            row = decode_row(value)
        except msgspec.DecodeError:  # another program wrote it
            row = None
        if row is not None and row.submitted_at == record.timestamp:  # else of a topic before this
            return Chosen(job_id, record, row.status, row)
    status = ends.status(record.offset)
    if status is None and not ends.was_swept(record):
        status = Status.WAITING
    return Chosen(job_id, record, status, None)


def _matches(job: Chosen, wanted: Wanted) -> bool:
    if job.row is not None:
        return wanted.matches(job.job_id, job.row)
    if job.status is None and wanted.statuses:
        return False
    record = job.record
    handler = asked_handler(record.key, record.value)
    return wanted.matches(job.job_id, _Row(job.status or Status.WAITING, handler, record.timestamp))
