"""All that the logs say of one job."""

from __future__ import annotations

from dataclasses import dataclass, field

from inspection.chain import follow, nearest
from inspection.letters import Letter, letter_of
from inspection.newest import Search
from inspection.owner import Owner, owner_of
from inspection.slices import Advance, extents, no_one
from inspection.transitions import Transition
from inspection.unread import unread_row
from jobs.codec import decode_row
from jobs.model import Job, JobId, Status
from log.reader import LogReader, Record
from log.topics import TopicNames


class NoJob(Exception):
    """There is no such job (any more); the text says why."""


@dataclass
class Inspected:
    """``record``: on the topic ``jobs``; ``None``: it has expired. ``row``: as its owner has it;
    what intake will make of the record if there is none yet (``unread``); ``None``: it was final,
    and has expired. ``transitions``: oldest first; ``missing``: what is not there of them."""

    job_id: JobId
    record: Record | None
    row: Job | None = None
    unread: bool = False
    transitions: list[Transition] = field(default_factory=list)
    missing: str | None = None
    owner: Owner | None = None
    letter: Letter | None = None
    read: int = field(default=0, compare=False)


async def inspect(
    reader: LogReader,
    names: TopicNames,
    job_id: JobId,
    partitions: int,
    *,
    until: int | None = None,
    advance: Advance = no_one,
) -> Inspected:
    """Look a job up in the logs. It seeks; only for a job that isn't final a part of the changelog
    is scanned, from the job's own rows on.

    Args:
        until: the job as it was at this time (epoch ms).

    Raises:
        NoJob: there is none.
        KafkaError: the logs can't be read.
    """
    p = job_id.partition
    if p >= partitions:
        raise NoJob(
            f"job {job_id} doesn't exist: topic {names.jobs} has {partitions} partitions, counted "
            "from 0"
        )
    record = await reader.record(names.jobs, *job_id)
    jobs = (await extents(reader, names.jobs, [p]))[p]
    if record is None and job_id.offset >= jobs.stop:
        raise NoJob(f"job {job_id} doesn't exist: {names.jobs}, partition {p} ends at {jobs.stop}")
    changelog = (await extents(reader, names.changelog, [p]))[p]
    search = Search(reader, names.changelog, job_id)
    await search.run(changelog, None if record is None else record.timestamp, advance)
    found = Inspected(job_id, record, read=search.read)
    if search.record is not None:
        await _past(found, reader, names, search.record)
    elif record is None:
        raise NoJob(
            f"job {job_id} has expired or never was a job: {names.jobs}, partition {p} begins at "
            f"{jobs.start}, and the changelog has no row of it"
        )
    if record is not None:
        row = found.row
        if row is not None and record.timestamp != row.submitted_at:
            # The topic was made again: the row is of another job, which had this place before.
            found.row, found.transitions, found.missing = None, [], None
            search.passed = False
        found.unread = found.row is None and not search.passed
        if found.unread:
            found.row = unread_row(record)
    if until is not None:
        _as_of(found, until)
    found.owner = await owner_of(reader, names.changelog, p, changelog)
    if found.row is not None and found.row.status is Status.FAILED:
        found.letter = await letter_of(reader, names, job_id, found.row.finished_at or 0)
    return found


async def _past(found: Inspected, reader: LogReader, names: TopicNames, newest: Record) -> None:
    found.row = decode_row(newest.value or b"")
    back: list[Transition] = []

    async def read(place: int) -> Record | None:
        return await reader.record(names.changelog, found.job_id.partition, place)

    async def before(place: int) -> Record | None:
        return await nearest(reader, names.changelog, found.job_id, place)

    found.missing = await follow(found.job_id, found.row.submitted_at, newest, read, before, back)
    found.transitions = back[::-1]


def _as_of(found: Inspected, until: int) -> None:
    job_id = found.job_id
    if found.record is not None and found.record.timestamp > until:
        raise NoJob(f"job {job_id} wasn't there yet at that time: it was submitted later")
    before = [each for each in found.transitions if each.at <= until]
    if before:
        found.row, found.unread, found.transitions = before[-1].job, False, before
    elif found.row is None or found.missing is not None:
        why = found.missing or "it has expired since, and the changelog has no row of it any more"
        raise NoJob(f"what job {job_id} was at that time isn't known: {why}")
    elif found.record is not None:
        found.row, found.unread, found.transitions = unread_row(found.record), True, []
    else:
        raise NoJob(f"job {job_id} had no row yet at that time, and its record has expired")
