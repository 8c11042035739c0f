"""Some jobs, named by their ids: the state of each, now and until it is final."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from aiokafka.errors import KafkaError

from inspection.everyone import everyone, reach_of
from inspection.following import Following
from inspection.job import NoJob
from inspection.owner import Owner, owner_of
from inspection.slices import Advance, extents, no_one
from inspection.wanted import IdRange, Wanted
from jobs.model import JobId, Status
from log.reader import LogReader
from log.topics import TopicNames

POLL_S = 0.1  # between reads that find nothing
_NONE = Wanted(ids=(IdRange(-1, 0, 0),))  # of no job more than its state is kept


class Watch:
    """``states``: of each job, in the order in which they are given, as it was last seen."""

    def __init__(self, reader: LogReader, names: TopicNames, jobs: Sequence[JobId]) -> None:
        """``jobs``: no place of them lies behind the end of the topic."""
        self.wanted = Wanted(tuple(IdRange(*each, each.offset) for each in jobs))
        self.states: dict[JobId, Status] = {}
        self._jobs = jobs
        self._reader = reader
        self._names = names
        self._following = Following(reader, names.changelog)

    @property
    def open(self) -> list[JobId]:
        """Those that haven't ended."""
        return [job_id for job_id, status in self.states.items() if not status.final]

    async def begin(self, partitions: int, advance: Advance = no_one) -> None:
        """Look at all of them.

        Raises:
            NoJob: one has expired, or there was only a gap at its place.
            KafkaError: the logs can't be read.
        """
        reader, names, found = self._reader, self._names, dict[JobId, Status]()
        # Before they are looked at: no transition since then is missed.
        await self._following.begin(self.wanted.partitions(partitions))
        reach = await reach_of(reader, names, partitions, self.wanted)
        async for folded in everyone(reader, names, reach, _NONE, advance=advance):
            n, briefs = folded.partition, folded.briefs
            for each in self._jobs:
                if each.partition == n and each.offset in briefs:
                    found[each] = briefs.status(each.offset)
        for each in self._jobs:
            if each not in found:
                raise NoJob(f"job {each} has expired or never was a job: no worker has a row of it")
            self.states[each] = found[each]

    async def until_final(self, wait_s: float, advance: Advance = no_one) -> None:
        """Follow them until all are final, or the time is over; Kafka may be away meanwhile."""
        left = set(self.open)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while left:
                    try:
                        found, more = await self._following.step()
                    except (KafkaError, TimeoutError):
                        found, more = [], False
                    for each in found:
                        if each.job_id in left:
                            self.states[each.job_id] = each.job.status
                            if each.job.status.final:
                                left.discard(each.job_id)
                                advance(1)
                    if left and not more:
                        await asyncio.sleep(POLL_S)

    async def owners(self) -> dict[int, Owner | None]:
        """Who has the partitions of those that haven't ended.

        Raises:
            KafkaError: the changelog can't be read.
        """
        reader, changelog = self._reader, self._names.changelog
        there = await extents(reader, changelog, {each.partition for each in self.open})
        return {n: await owner_of(reader, changelog, n, extent) for n, extent in there.items()}
