"""Finding a job's rows in the changelog, within the time of a request."""

from __future__ import annotations

import asyncio

import msgspec

from inspection.chain import nearest
from jobs.codec import decode_row
from jobs.model import Job, JobId
from log.reader import LogReader, Record
from tables.marks import MAX_SKEW_MS
from web.reading import fetch, record

READ_S = 1.0  # for one read
STEP = 500
SEEK = 20_000  # records behind a job's time that are looked at for its last row


class Past:
    """Reads of a changelog; all raise ``NotRead``."""

    def __init__(self, reader: LogReader, changelog: str) -> None:
        self._reader = reader
        self._changelog = changelog

    async def at(self, p: int, place: int) -> Record | None:
        """The record at a place."""
        return await record(self._reader, self._changelog, p, place, READ_S)

    async def newest(self, p: int, key: bytes, row: Job) -> Record | None:
        """The record of a final row: it was written when the job ended, or a little later.

        Raises:
            KafkaError: as ``NotRead``.
        """
        # A record's time comes from another clock of the same machine, and may be cut off a
        # millisecond lower. The clock of an owner before may have been ahead by much more.
        for skew_ms in (1, MAX_SKEW_MS):
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

    async def nearest(self, job_id: JobId, place: int) -> Record | None:
        """The job's last valid row before a place, if it isn't far away.

        Raises:
            KafkaError, TimeoutError: as ``NotRead``.
        """
        async with asyncio.timeout(READ_S):
            return await nearest(self._reader, self._changelog, job_id, place)


def _same(value: bytes, row: Job) -> bool:
    try:
        return decode_row(value) == row
    except msgspec.DecodeError:
        return False
