"""One worker's part of a list with the newest jobs first.

Within a partition places go with time, nearly; so each partition is gone through backwards from
its end, and of the jobs that come next in each the youngest is taken. That costs a page for each
partition, however many jobs there are, and the cursor is a place in each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from aiokafka.errors import KafkaError

from inspection.unread import unread_row
from jobs.model import Job, JobId, Status
from log.reader import Slice
from tables.partition import Partition
from web import render
from web.glance import Check, glance
from web.listing import Page, Query, submitted
from web.lookup import swept
from web.owner import Owners
from web.parts import Parts
from web.places import format_places
from web.reading import NotRead, fetch
from web.scan import LOOK_COST, READ_S, SCAN_COST, UNREAD
from web.shapes import JobInList, Missing

AT_ONCE = 200  # places of a partition that are read together
ROWS_AT_ONCE = 500
TURN = 4_000  # spent between two turns of the event loop
_BEYOND = 2**63


class Seen(NamedTuple):
    """A job; ``None``: all of the partition from ``offset`` on have been gone through. And what
    that has cost."""

    offset: int
    job: Job | None
    cost: int


class Lane:
    """One partition's jobs that are asked for. ``head`` is the next one; all from ``position``
    on have been looked at; ``through``: there are no more."""

    def __init__(self, jobs: AsyncIterator[Seen], number: int, before: int) -> None:
        self.number = number
        self.position = before
        self.head: JobInList | None = None
        self.through = False
        self._jobs = jobs

    @property
    def age(self) -> str:
        """What lanes are compared by: the later, the sooner."""
        return "" if self.head is None else submitted(self.head)

    async def fill(self, look: Look) -> None:
        """Go on to the next head, or to the end, or until enough has been looked at."""
        while self.head is None and not self.through and look.left > 0:
            try:
                offset, job, cost = await anext(self._jobs)
            except StopAsyncIteration:
                self.through, self.position = True, 0
                return
            look.left -= cost
            if job is not None and look.query.matches(job):
                self.head = render.entry(JobId(self.number, offset), job)
                self.position = offset + 1
            else:
                self.position = offset

    def take(self) -> JobInList:
        """The head, which is taken."""
        assert self.head is not None
        head, self.head = self.head, None
        self.position -= 1
        return head


class Look:
    """What is asked for, and how much may still be spent on looking."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.left = SCAN_COST


class Backwards:
    """Lists this worker's jobs, the newest first."""

    def __init__(self, parts: Parts, owners: Owners) -> None:
        self._reader = parts.reader
        self._topic = parts.names.jobs
        self._places = parts.jobs.places
        self._owners = owners

    async def page(self, query: Query) -> Page:
        """The jobs asked for, as many as fit; ``next`` has a place for each partition."""
        served = self._owners.all_served()
        for n in await self._owners.superseded(served):
            del served[n]
        failed: list[int] = []
        ends = await self._ends(query, served, failed)
        may = glance(query)
        lanes = []
        for n, part in served.items():
            before = query.before.get(n, _BEYOND)
            end = ends[n].end if n in ends else 0
            if n in ends:
                before = min(before, max(end, _behind(part)))
            lanes.append(Lane(self._down(part, may, before, end, failed), n, before))
        look = Look(query)
        await asyncio.gather(*(lane.fill(look) for lane in lanes))
        jobs: list[JobInList] = []
        while len(jobs) < query.limit:
            if any(lane.head is None and not lane.through for lane in lanes):
                break  # what comes next there isn't known
            heads = [lane for lane in lanes if lane.head is not None]
            if not heads:
                break
            youngest = max(heads, key=lambda lane: lane.age)
            jobs.append(youngest.take())
            await youngest.fill(look)
        through = all(lane.through for lane in lanes)
        places = {lane.number: lane.position for lane in lanes if lane.position < _BEYOND}
        return Page(
            jobs=jobs,
            next=None if through else format_places(places),
            partitions=[n for n, part in served.items() if self._owners.served(n) is part],
            missing=[Missing(self._owners.me, sorted(set(failed)), UNREAD)] if failed else [],
        )

    async def _ends(
        self, query: Query, served: Mapping[int, Partition], failed: list[int]
    ) -> dict[int, Slice]:
        """The log's ends, where records count that intake has not come to."""
        if not served or not query.wants(Status.WAITING):
            return {}
        starts = {n: self._places.get(n, 0) for n in served}
        try:
            return await fetch(self._reader, self._topic, starts, 1, READ_S)
        except NotRead:
            failed.extend(served)
            return {}

    async def _down(
        self, part: Partition, may: Check | None, before: int, end: int, failed: list[int]
    ) -> AsyncIterator[Seen]:
        """Jobs of a partition from a place back. ``end``: of the topic; 0 where its records
        don't count."""
        n = part.number
        place = self._places.get(n, 0)
        if before > end > place:
            for each in _rows(part, may, end, before):
                yield each
            before = end
        while end > place and before > place:
            low = max(place, before - AT_ONCE)
            try:
                async with asyncio.timeout(READ_S):
                    records = await self._reader.read(self._topic, n, low, before)
            except (KafkaError, TimeoutError):
                failed.append(n)
                before = place
                break
            # Nothing is awaited in here: what has become a row meanwhile is seen as one.
            by_offset = {record.offset: record for record in records}
            place_now = self._places.get(n, place)
            rows = part.rows.irange(low, before, inclusive=(True, False))
            found: list[Seen] = []
            for offset in sorted({*by_offset, *rows}, reverse=True):
                row = part.rows.look(offset)
                if row is None and offset >= place_now and not swept(part, by_offset[offset]):
                    row = unread_row(by_offset[offset])
                if row is not None:
                    found.append(Seen(offset, row, LOOK_COST))
            for each in found:
                yield each
            before = low
        turn = TURN
        for each in _rows(part, may, None, before):
            yield each
            turn -= each.cost
            if turn <= 0:
                turn = TURN
                await asyncio.sleep(0)


def _rows(part: Partition, may: Check | None, low: int | None, before: int) -> Iterator[Seen]:
    """Rows in ``[low, before)``, the last one first."""
    while True:
        # Not one iterator over all: rows come and go while others are waited for.
        down = part.rows.irange(low, before, inclusive=(True, False), reverse=True)
        offsets = list(islice(down, ROWS_AT_ONCE))
        for offset in part.rows.wanted(offsets, may):
            row = part.rows.look(offset)
            if row is not None:
                yield Seen(offset, row, LOOK_COST)
        if not offsets:
            return
        before = offsets[-1]
        yield Seen(before, None, len(offsets))


def _behind(part: Partition) -> int:
    """The place behind the last row; of a topic that was made again it is beyond the end."""
    return next((offset + 1 for offset in part.rows.irange(reverse=True)), 0)
