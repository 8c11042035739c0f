"""A job's newest row in the changelog, found by seeking: no index says where it stands.

Intake admits jobs in the order of their places, so first rows (whose ``prev`` says that there is
nothing before) stand in the changelog in that order: a job's is found by halving. Its newest row
stands behind that, mostly not far. Where first rows are compacted away, it is at least not older
than the job's record. A final row is the last one; only for a job that isn't final all has to be
read to the end of its partition.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from inspection.briefs import glance
from inspection.slices import Advance, Extent, no_one, scan
from inspection.transitions import KNOWN
from jobs.model import JobId, Status
from log.reader import LogReader, Record
from tables.fold import Fences, row_key, row_offset
from tables.marks import MAX_SKEW_MS, SWEPT_KEY, Swept, read
from tables.places import place_before

GLANCE = 50  # records among which a first row is, mostly
STEP = 500  # records that are read at a time while halving
PATIENCE = 10  # such steps with no first row in them; then they are taken for compacted away


@dataclass
class Search:
    """For one job's row. ``record``: the newest one, if it is found; ``passed``: whether intake has
    come past the job's place, so that one with no row has had one. ``read``: how many records had
    to be read."""

    reader: LogReader
    topic: str
    job_id: JobId
    record: Record | None = None
    passed: bool = False
    read: int = 0

    async def run(self, extent: Extent, since_ms: int | None, advance: Advance = no_one) -> None:
        """Look for it.

        Args:
            extent: what there is of the partition.
            since_ms: the timestamp of the job's record (epoch ms); ``None``: it has expired.

        Raises:
            KafkaError: the changelog can't be read.
        """
        low = extent.start
        if since_ms is not None:
            at = since_ms - MAX_SKEW_MS
            low = max(low, await self.reader.since(self.topic, self.job_id.partition, at))
        first = await self._first(low, extent.stop)
        await self._forward(first, extent.stop, advance)
        if self.record is None and first > low:  # it may have been canceled before it was read
            await self._forward(low, first, advance)

    async def _first(self, low: int, high: int) -> int:
        """A place with no row of the job before it, as far as first rows tell."""
        while high - low > STEP:
            middle = (low + high) // 2
            found = await self._admitted(middle, high)
            if found is None:
                break
            offset, place = found
            if offset == self.job_id.offset:
                return place
            if offset < self.job_id.offset:
                low = place + 1
            else:
                high, self.passed = middle, True
        return low

    async def _admitted(self, place: int, stop: int) -> tuple[int, int] | None:
        """The first job that is admitted from a place on, and where; ``None``: none is found."""
        p = self.job_id.partition
        for limit in (GLANCE, *[STEP] * PATIENCE):
            step = (await self.reader.fetch(self.topic, {p: place}, limit=limit))[p]
            self.read += len(step.records)
            for record in step.records:
                offset = row_offset(record.key, p)
                first = record.value and place_before(record) == -1
                # A job may be canceled before intake comes to it.
                if offset is not None and first and not _canceled(record):
                    return offset, record.offset
            if step.next <= place or step.next >= stop:
                break
            place = step.next
        return None

    async def _forward(self, start: int, stop: int, advance: Advance) -> None:
        """Read on until the job is final, or to the end. The records before tell whose rows
        count there."""
        p, key = self.job_id.partition, row_key(self.job_id)
        fences = Fences()
        before = max(0, start - KNOWN)
        for record in await self.reader.read(self.topic, p, before, start) if start else []:
            fences.counts(record)
        async for records in scan(self.reader, self.topic, p, Extent(start, stop), advance):
            self.read += len(records)
            for record in records:
                if not fences.counts(record):
                    continue
                if record.key == key and record.value is not None:
                    # One that can't be read counts as not there, as when it is taken over.
                    self.record = None if _status(record) is None else record
                elif not self.passed and self.record is None:
                    self.passed = self._is_past(record)
            if self.record is not None and _final(self.record):
                return

    def _is_past(self, record: Record) -> bool:
        """Whether a record shows that intake is past the job."""
        if record.key == SWEPT_KEY:
            mark = read(Swept, record.value)
            return mark is not None and mark.next > self.job_id.offset
        offset = row_offset(record.key, self.job_id.partition)
        later = offset is not None and offset > self.job_id.offset
        return later and record.value is not None and not _canceled(record)


def _status(record: Record) -> Status | None:
    try:
        return glance(record.value or b"").status
    except msgspec.DecodeError:
        return None


def _canceled(record: Record) -> bool:
    return _status(record) is Status.CANCELED


def _final(record: Record) -> bool:
    status = _status(record)
    return status is not None and status.final
