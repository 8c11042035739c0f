"""All jobs, read from the logs: those that have rows, and those that nobody has read yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from inspection.briefs import Glance
from inspection.folds import Folded, folds
from inspection.slices import Advance, Extent, extents, no_one, scan
from inspection.transitions import KNOWN
from inspection.unread import unread_row
from inspection.wanted import Span, Wanted
from jobs.model import Job, JobId, Status
from log.reader import LogReader
from log.topics import TopicNames


class Reach(NamedTuple):
    """What has to be read of one partition."""

    changelog: Extent
    jobs: Extent


def length(reach: Mapping[int, Reach]) -> int:
    """How many places that are."""
    return sum(stop - start for each in reach.values() for start, stop in each)


async def reach_of(
    reader: LogReader,
    names: TopicNames,
    partitions: int,
    wanted: Wanted,
    until: int | None = None,
) -> dict[int, Reach]:
    """What has to be read to know the jobs that are wanted, as they were at a time. No row is
    older than its job's record, so rows of younger jobs stand towards the end of the changelog.

    Raises:
        KafkaError: the topics can't be read.
    """
    numbers = wanted.partitions(partitions)
    limit = until if wanted.span.until is None else min(until or 2**63, wanted.span.until)
    jobs = await extents(reader, names.jobs, numbers, Span(wanted.span.since, limit))
    if not wanted.ids:
        span = Span(wanted.span.since, until)
        changelog = await extents(reader, names.changelog, numbers, span)
    else:
        changelog = {}
        for n in numbers:
            jobs[n] = _around(jobs[n], wanted, n)
            oldest = await _timestamp(reader, names.jobs, n, jobs[n].start)
            span = Span(oldest, until)
            changelog |= await extents(reader, names.changelog, [n], span)
    # The records before tell whose rows count.
    return {
        n: Reach(Extent(max(0, changelog[n].start - KNOWN), changelog[n].stop), jobs[n])
        for n in numbers
    }


async def everyone(
    reader: LogReader,
    names: TopicNames,
    reach: Mapping[int, Reach],
    wanted: Wanted,
    *,
    until: int | None = None,
    whole: bool = False,
    advance: Advance = no_one,
) -> AsyncIterator[Folded]:
    """The jobs of one partition after the other, by the order of their places.

    Args:
        wanted: of which jobs more than the state is kept.
        until: as they were at this time (epoch ms).
        whole: keep the rows of those jobs whole, besides.

    Raises:
        KafkaError: the topics can't be read.
    """
    changelogs = {n: each.changelog for n, each in reach.items()}
    async for folded in folds(
        reader,
        names.changelog,
        changelogs,
        wants=wanted.matches,
        whole=whole,
        until=until,
        advance=advance,
    ):
        extent = reach[folded.partition].jobs
        if wanted.statuses and Status.WAITING not in wanted.statuses:
            advance(extent.stop - extent.start)  # none of these is asked for
        else:
            await _unread(reader, names.jobs, folded, extent, wanted, until, advance)
        yield folded


async def _unread(
    reader: LogReader,
    topic: str,
    folded: Folded,
    extent: Extent,
    wanted: Wanted,
    until: int | None,
    advance: Advance,
) -> None:
    n = folded.partition
    start = min(folded.intake(extent.start), extent.stop)
    advance(start - extent.start)
    async for records in scan(reader, topic, n, Extent(start, extent.stop), advance):
        for record in records:
            late = until is not None and record.timestamp > until
            if late or record.offset in folded.briefs or folded.was_swept(record):
                continue
            row = glance_of(unread_row(record))
            folded.briefs.put(record.offset, row, wanted.matches(JobId(n, record.offset), row))


def glance_of(job: Job) -> Glance:
    """Of a row that is decoded."""
    return Glance(
        job.status,
        job.submitted_at,
        job.handler,
        job.attempt,
        job.max_attempts,
        job.started_at,
        job.finished_at,
        job.next_attempt_at,
        job.error,
        job.worker,
        job.replay_of,
        job.timeout_ns,
    )


def _around(extent: Extent, wanted: Wanted, partition: int) -> Extent:
    asked = [each for each in wanted.ids if each.partition == partition]
    start = max(extent.start, min(each.first for each in asked))
    return Extent(start, max(start, min(extent.stop, max(each.last for each in asked) + 1)))


async def _timestamp(reader: LogReader, topic: str, partition: int, place: int) -> int | None:
    """Of the first record from a place on; ``None``: there is none, or older ones are gone."""
    step = (await reader.fetch(topic, {partition: place}, limit=1))[partition]
    if not step.records or await reader.start(topic, partition) >= place:
        return None
    return step.records[0].timestamp
