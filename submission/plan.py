"""What a replay is going to do, before it does anything: which jobs, and why not the others."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import closing
from typing import NamedTuple

import msgspec

from inspection.chosen import Chosen, chosen
from inspection.ends import Ends, ends_of
from inspection.letters import Letter
from inspection.slices import Advance, Extent, extents, no_one, scan
from inspection.wanted import Wanted
from jobs.codec import decode_row
from jobs.model import JobId, Status
from jobs.registry import Registry
from log.reader import LogReader, Record
from log.topics import TopicNames
from submission.again import Replays, Rules, replays_of, why_not
from submission.resending import Original, runnable

MOST_REASONS = 50  # some name what is wrong with one job's data


class Item(NamedTuple):
    """A job that was asked for. ``why``: it isn't run again; ``None``: it is."""

    job_id: JobId
    handler: str
    status: Status | None
    error: str | None
    why: str | None


class Part:
    """Jobs of one partition that are run again, by the places where their originals stand."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.places = array("q")
        self.offsets = array("q")

    def put(self, place: int, offset: int) -> None:
        """One more; in the order of places."""
        self.places.append(place)
        self.offsets.append(offset)


class Plan:
    """Takes jobs in, and sorts them."""

    def __init__(
        self, rules: Rules, registry: Registry, tell: Callable[[Item], None] = lambda item: None
    ) -> None:
        self.rules = rules
        self.parts: dict[int, Part] = {}
        self.skipped: Counter[str] = Counter()
        self._registry = registry
        self._tell = tell

    @property
    def count(self) -> int:
        """How many are run again."""
        return sum(len(part.places) for part in self.parts.values())

    def take(
        self, job: Chosen, replays: Replays, topic: str, handler: str, error: str | None
    ) -> None:
        """A job that was asked for; its record is the original, wherever it stands."""
        why = why_not(job, replays, self.rules)
        why = why or runnable(job.record.value, self._registry)
        if why is None:
            part = self.parts.setdefault(job.job_id.partition, Part(topic))
            part.put(job.record.offset, job.job_id.offset)
        else:
            few = why in self.skipped or len(self.skipped) < MOST_REASONS
            self.skipped[why if few else "other reasons"] += 1
        self._tell(Item(job.job_id, handler, job.status, error, why))

    def sources(self, reader: LogReader) -> list[AsyncGenerator[Original, None]]:
        """The originals, partition by partition, read anew."""
        return [_originals(reader, n, part) for n, part in sorted(self.parts.items())]


async def plan_jobs(
    plan: Plan,
    reader: LogReader,
    names: TopicNames,
    slices: Mapping[int, Extent],
    wanted: Wanted,
    advance: Advance = no_one,
) -> None:
    """Plan jobs whose records are in the log.

    Raises:
        KafkaError: the log can't be read.
    """
    topics = names.jobs, names.changelog
    for n, extent in sorted(slices.items()):
        replays = await _replays(reader, names.jobs, n, extent.start)
        async for job in chosen(reader, topics, {n: extent}, wanted, advance):
            row = job.row
            handler, error = ("", None) if row is None else (row.handler, row.error)
            plan.take(job, replays, names.jobs, handler, error)


async def plan_letters(
    plan: Plan,
    reader: LogReader,
    names: TopicNames,
    partitions: Mapping[int, Extent],
    wanted: Wanted,
    advance: Advance = no_one,
) -> None:
    """Plan jobs that have dead letters: of several letters of one job the newest counts.

    Args:
        partitions: places of the dead letters.
        wanted: ``error`` is looked for in the reason, the span is of letters.

    Raises:
        KafkaError: the log can't be read.
    """
    for n, extent in sorted(partitions.items()):
        newest: dict[int, int] = {}  # job → its letter
        async for records in scan(reader, names.dead, n, extent, advance):
            for record in records:
                letter = Letter.of(n, record, names.jobs)
                if letter.job_id is not None and _matches(letter, wanted):
                    newest[letter.job_id.offset] = record.offset
        if newest:
            await _take_letters(plan, reader, names, n, extent, newest)


async def _take_letters(
    plan: Plan,
    reader: LogReader,
    names: TopicNames,
    n: int,
    extent: Extent,
    newest: Mapping[int, int],
) -> None:
    jobs = Extent(min(newest), max(newest) + 1)
    replays = await _replays(reader, names.jobs, n, jobs.start)
    with closing(await ends_of(reader, (names.jobs, names.changelog), n, jobs)) as ends:
        async for records in scan(reader, names.dead, n, extent):
            for record in records:
                letter = Letter.of(n, record, names.jobs)
                if letter.job_id is None or newest.get(letter.job_id.offset) != record.offset:
                    continue
                job = _of_letter(letter.job_id, record, ends)
                if letter.left_out:
                    plan.skipped["its dead letter has no value: it was too large"] += 1
                    continue
                plan.take(job, replays, names.dead, letter.handler or "", letter.reason)


def _of_letter(job_id: JobId, record: Record, ends: Ends) -> Chosen:
    """A crash leaves a letter of a job that hasn't failed; else what has one has failed."""
    value = ends.row(job_id.offset)
    row = None
    if value is not None:
        try:
            row = decode_row(value)
        except msgspec.DecodeError:
            pass
    if row is not None:
        return Chosen(job_id, record, row.status, row)
    return Chosen(job_id, record, ends.status(job_id.offset) or Status.FAILED, None)


def _matches(letter: Letter, wanted: Wanted) -> bool:
    job_id = letter.job_id
    return (
        job_id is not None
        and wanted.has_id(job_id)
        and (not wanted.handlers or letter.handler in wanted.handlers)
        and (not wanted.span or letter.at in wanted.span)
        and (not wanted.error or wanted.error in letter.reason.casefold())
    )


async def _replays(reader: LogReader, topic: str, n: int, start: int) -> Replays:
    whole = (await extents(reader, topic, [n]))[n]
    return await replays_of(reader, topic, n, whole._replace(start=max(start, whole.start)))


async def _originals(reader: LogReader, n: int, part: Part) -> AsyncGenerator[Original, None]:
    index, last = 0, len(part.places) - 1
    extent = Extent(part.places[0], part.places[last] + 1)
    async for records in scan(reader, part.topic, n, extent):
        for record in records:
            while index <= last and part.places[index] < record.offset:
                index += 1  # it has expired meanwhile
            if index <= last and part.places[index] == record.offset:
                yield Original(JobId(n, part.offsets[index]), record.value or b"")
                index += 1
