"""``GET /job/{id}/history``: a job's rows, back from the newest one.

Each row in the changelog names the place of the one before it, so that a history costs a read for
each transition, in a changelog of any length. The newest place of an unfinished job is in memory;
that of a final one is found by its time.
"""

from __future__ import annotations

import asyncio

import msgspec
from aiokafka.errors import KafkaError
from msgspec import UNSET

from inspection.chain import TooSlow, follow
from inspection.transitions import Transition
from jobs.codec import decode_row
from jobs.model import Job, JobId
from log.reader import Record
from tables.fold import row_key
from tables.marks import MAX_SKEW_MS
from web import render, shapes
from web.lookup import Lookup
from web.owner import Owners
from web.parts import Parts
from web.problems import Unavailable
from web.reading import NotRead, fetch, record

READ_S = 1.0  # for one read
TOTAL_S = 4.0  # for all; a worker that forwards waits for 7
STEP = 500
SEEK = 20_000  # records behind a job's time that are looked at for its last row


class Histories:
    """Finds the histories of jobs of this worker's partitions."""

    def __init__(self, parts: Parts, owners: Owners, lookup: Lookup) -> None:
        self._reader = parts.reader
        self._changelog = parts.names.changelog
        self._owners = owners
        self._lookup = lookup

    async def of(self, job_id: JobId) -> shapes.History:
        """The body of the answer.

        Raises:
            NotFound: there is no such job (any more).
            Unavailable: its partition isn't served here now, or Kafka can't be read.
        """
        await self._lookup.find(job_id)
        # From here to the reading nothing is awaited: row and place are of one moment.
        row, place = self._lookup.seen(job_id), self._place(job_id)
        found: list[Transition] = []
        missing: str | None = None
        try:
            if row is not None:
                missing = await self._follow(job_id, row, place, found)
        except (NotRead, KafkaError, TimeoutError) as exc:
            raise Unavailable(
                f"Kafka can't be read now ({exc}); try again", id=str(job_id)
            ) from None
        return shapes.History(
            id=str(job_id),
            topic=self._changelog,
            transitions=[_told(each) for each in reversed(found)],
            complete=missing is None,
            detail=UNSET if missing is None else missing,
        )

    def _place(self, job_id: JobId) -> int | None:
        part = self._owners.served(job_id.partition)
        return None if part is None else part.places.get(job_id.offset)

    async def _follow(
        self, job_id: JobId, row: Job, place: int | None, found: list[Transition]
    ) -> str | None:
        """Gather transitions, newest first; what is missing of them."""
        end = asyncio.get_running_loop().time() + TOTAL_S
        p = job_id.partition

        async def read(place: int) -> Record | None:
            if asyncio.get_running_loop().time() > end:
                raise TooSlow
            return await record(self._reader, self._changelog, p, place, READ_S)

        if place is None:
            async with asyncio.timeout(TOTAL_S):
                newest = await self._newest(p, row_key(job_id), row)
        else:
            newest = await record(self._reader, self._changelog, p, place, READ_S)
        if newest is None:
            return "its last row isn't found in the changelog; its status has what it says"
        return await follow(job_id, row.submitted_at, newest, read, found)

    async def _newest(self, p: int, key: bytes, row: Job) -> Record | None:
        """The record of a final row: it was written when the job ended, or a little later."""
        for skew_ms in (0, MAX_SKEW_MS):  # the clock of an owner before may have been ahead
            at = (row.finished_at or 0) - skew_ms
            place = await self._reader.since(self._changelog, p, at)
            for _ in range(0, SEEK, STEP):
                steps = await fetch(self._reader, self._changelog, {p: place}, STEP, READ_S)
                for each in steps[p].records:
                    if each.key == key and each.value and _same(each.value, row):
                        return each
                place = steps[p].next
                if place >= steps[p].end:
                    break
        return None


def _same(value: bytes, row: Job) -> bool:
    try:
        return decode_row(value) == row
    except msgspec.DecodeError:
        return False


def _told(transition: Transition) -> shapes.PastTransition:
    told = render.entry(transition.job_id, transition.job)
    return shapes.PastTransition(
        at=render.time(transition.at),
        status=told.status,
        attempt=told.attempt,
        error=told.error,
        worker=told.worker,
        next_attempt_at=told.next_attempt_at,
        fence=shapes.Writer(transition.fence.number, transition.fence.instance),
        partition=transition.job_id.partition,
        offset=transition.place,
    )
