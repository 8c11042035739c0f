"""``GET /job/{id}/history``: a job's rows, back from the newest one.

Each row in the changelog names the place of the one before it, so that a history costs a read for
each transition, in a changelog of any length. The newest place of an unfinished job, and of one
that has just ended, is in memory; that of another final one is found by its time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError
from msgspec import UNSET

from inspection.chain import TooSlow, follow
from inspection.transitions import Transition
from jobs.model import Job, JobId
from log.reader import Record
from tables.fold import row_key
from web import render, shapes
from web.lookup import Lookup
from web.owner import Owners
from web.parts import Parts
from web.past import Past
from web.problems import Unavailable
from web.reading import NotRead

AT_ONCE = 8  # histories that are read; a broker answers one read of a connection after another
TURN_S = 2.5  # for one's turn
TOTAL_S = 4.0  # for all reads; a worker that forwards waits for 7


class Histories:
    """Finds the histories of jobs of this worker's partitions."""

    def __init__(self, parts: Parts, owners: Owners, lookup: Lookup) -> None:
        self._past = Past(parts.reader, parts.names.changelog)
        self._changelog = parts.names.changelog
        self._owners = owners
        self._lookup = lookup
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def of(self, job_id: JobId) -> shapes.History:
        """The body of the answer.

        Raises:
            NotFound: there is no such job (any more).
            Unavailable: its partition isn't served here now, or Kafka can't be read.
        """
        async with self._turn(job_id):
            await self._lookup.find(job_id)
            await self._certain(job_id)
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

    @asynccontextmanager
    async def _turn(self, job_id: JobId) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TURN_S):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable(
                "too many histories are being read at once; try again", id=str(job_id)
            ) from None
        try:
            yield
        finally:
            self._turns.release()

    async def _certain(self, job_id: JobId) -> None:
        """Until what readers see is what Kafka has acknowledged: while it is in doubt who owns
        the partition, a row isn't shown, and its place is known already."""
        part = self._owners.served(job_id.partition)
        if part is not None:
            try:
                async with asyncio.timeout(TURN_S):
                    await part.shown()
            except TimeoutError:
                text = f"partition {job_id.partition} is changing its owner; try again"
                raise Unavailable(text, id=str(job_id)) from None

    def _place(self, job_id: JobId) -> int | None:
        part = self._owners.served(job_id.partition)
        if part is None:
            return None
        return part.places.get(job_id.offset, part.ended_at.get(job_id.offset))

    async def _follow(
        self, job_id: JobId, row: Job, place: int | None, found: list[Transition]
    ) -> str | None:
        """Gather transitions, newest first; what is missing of them."""
        end = asyncio.get_running_loop().time() + TOTAL_S
        p = job_id.partition

        async def read(place: int) -> Record | None:
            if asyncio.get_running_loop().time() > end:
                raise TooSlow
            return await self._past.at(p, place)

        async def before(place: int) -> Record | None:
            if asyncio.get_running_loop().time() > end:
                raise TooSlow
            return await self._past.nearest(job_id, place)

        newest = None if place is None else await self._past.at(p, place)
        if newest is None:
            async with asyncio.timeout(TOTAL_S):
                newest = await self._past.newest(p, row_key(job_id), row)
        if newest is None:
            return "its last row isn't found in the changelog; its status has what it says"
        return await follow(job_id, row.submitted_at, newest, read, before, found)


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
