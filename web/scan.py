"""One worker's part of a list: its rows, and the records that it has not read yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from inspection.unread import unread_row
from jobs.model import MAX_OFFSET, Job, JobId, Status
from log.reader import Slice
from tables.partition import Partition
from web import render
from web.glance import glance
from web.listing import Page, Query
from web.lookup import swept
from web.owner import Owners
from web.parts import Parts
from web.reading import NotRead, fetch
from web.shapes import JobInList, Missing

SCAN_COST = 100_000  # spent on rows in one request; whoever wants more asks again, with the cursor
LOOK_COST = 10  # of a row that is decoded, beside the 1 that each costs
AT_ONCE = 5_000  # rows between two turns of the event loop
READ_S = 1.0  # for one step of reading; a worker that asks us waits 3 s in all

UNREAD = "Kafka can't be read, so waiting jobs that no worker has read yet are left out"


class Scan:
    """A page that is being filled. ``position``: it is complete up to here."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self._may = glance(query)
        self.jobs: list[JobInList] = []
        self.position = query.after
        self._left = SCAN_COST
        self._stopped = False

    def full(self) -> bool:
        """Whether the page ends at ``position``, though there may be more."""
        return self._stopped or self._left <= 0 or len(self.jobs) > self.query.limit

    def see(self, n: int, offset: int, job: Job) -> None:
        """Look at the next job. The page holds one more than asked for when there are more,
        so that whoever merges pages can tell."""
        self.position = job_id = JobId(n, offset)
        self._left -= LOOK_COST
        if self.query.matches(job):
            self.jobs.append(render.entry(job_id, job))

    def look(self, part: Partition, offsets: Sequence[int]) -> None:
        """Look at the next rows, or some of them."""
        for offset in part.rows.wanted(offsets, self._may):
            row = part.rows.look(offset)
            if row is not None:
                self.see(part.number, offset, row)
                if self.full():
                    return
        self._left -= len(offsets)
        if offsets:
            self.position = JobId(part.number, offsets[-1])

    def stop(self, position: JobId) -> None:
        """End the page here, though there is more."""
        self.position = position
        self._stopped = True


class Scanner:
    """Lists the jobs of this worker's partitions."""

    def __init__(self, parts: Parts, owners: Owners) -> None:
        self._reader = parts.reader
        self._topic = parts.names.jobs
        self._places = parts.jobs.places
        self._owners = owners

    async def page(self, query: Query) -> Page:
        """The jobs asked for, as many as fit.

        When filters match few, a page may hold fewer than ``limit``, or none, and still have a
        ``next``: no more than ``SCAN_COST`` is spent on one page.
        """
        after = query.after or JobId(0, -1)
        scan = Scan(query)
        served = self._owners.all_served()
        for n in await self._owners.superseded(served):
            del served[n]
        starts = {
            n: min(after.offset + 1, MAX_OFFSET) if n == after.partition else 0
            for n in served
            if n >= after.partition
        }
        unread = await self._unread(query, starts)
        failed = [] if unread is not None else list(starts)
        for n, start in starts.items():
            if scan.full():
                break
            if unread is None or n not in unread:
                await self._rows(scan, served[n], start, None)
            elif not await self._both(scan, served[n], start):
                failed.append(n)
                await self._rows(scan, served[n], max(start, self._places.get(n, start)), None)
        return Page(
            jobs=scan.jobs,
            next=str(scan.position) if scan.full() else None,
            # One that was lost on the way may have newer states at its next owner.
            partitions=[n for n, part in served.items() if self._owners.served(n) is part],
            missing=[Missing(self._owners.me, failed, UNREAD)] if failed else [],
        )

    async def _unread(self, query: Query, starts: Mapping[int, int]) -> set[int] | None:
        """The partitions with records that intake has not come to; ``None``: can't be told.

        Asked before any row is looked at: a job that was accepted before this request has a
        row then, or its record lies before the end that is told here.
        """
        if not starts or not query.wants(Status.WAITING):
            return set()
        wanted = {n: max(start, self._places.get(n, 0)) for n, start in starts.items()}
        steps = await self._fetch(wanted, limit=1)
        if steps is None:
            return None
        return {n for n, step in steps.items() if step.end > wanted[n]}

    async def _rows(self, scan: Scan, part: Partition, start: int, stop: int | None) -> None:
        while not scan.full():
            # Not one iterator over all: rows come and go while others have their turn.
            offsets = list(islice(_between(part, start, stop), AT_ONCE))
            scan.look(part, offsets)
            if len(offsets) < AT_ONCE:
                return
            start = offsets[-1] + 1
            await asyncio.sleep(0)

    async def _both(self, scan: Scan, part: Partition, start: int) -> bool:
        """Rows, then from intake's place on rows and records. False: Kafka can't be read, and
        only rows before that place have been looked at."""
        place = self._places.get(part.number, start)
        await self._rows(scan, part, start, place)
        if scan.full():
            return True
        start = max(start, place)
        steps = await self._fetch({part.number: start}, limit=scan.query.limit + 1)
        if steps is None:
            return False
        step = steps[part.number]
        all_read = step.next >= step.end
        # From here on nothing is awaited: what has become a row meanwhile is seen as one.
        records = {record.offset: record for record in step.records}
        place = self._places.get(part.number, start)
        for offset in sorted({*records, *_between(part, start, None if all_read else step.next)}):
            if scan.full():
                return True
            row = part.rows.look(offset)
            if row is None and offset >= place and not swept(part, records[offset]):
                row = unread_row(records[offset])
            if row is not None:
                scan.see(part.number, offset, row)
        if not all_read and not scan.full():
            scan.stop(JobId(part.number, step.next - 1))
        return True

    async def _fetch(self, starts: Mapping[int, int], limit: int) -> dict[int, Slice] | None:
        try:
            return await fetch(self._reader, self._topic, starts, limit, READ_S)
        except NotRead:
            return None


def _between(part: Partition, start: int, stop: int | None) -> Iterable[int]:
    """Offsets of rows in ``[start, stop)``, in order."""
    found: Iterable[int] = part.rows.irange(start, stop, inclusive=(True, False))
    return found
