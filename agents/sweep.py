"""Final rows leave the table after their time, by their owner."""

from __future__ import annotations

from collections.abc import Mapping

from tables.jobs import JobTable, now_ms
from tables.marks import Swept
from tables.partition import Partition, PartitionLost

BATCH = 500  # rows of a partition in one step


class Sweeper:
    """Removes rows that have been final for ``keep_s`` seconds."""

    def __init__(self, table: JobTable, places: Mapping[int, int], keep_s: float) -> None:
        """``places``: the next place that intake handles; rows from there on stay, since
        intake must find them (a job that was canceled before it was read)."""
        self._table = table
        self._places = places
        self._keep_ms = round(keep_s * 1000)

    async def sweep(self) -> int:
        """Remove what is due; the number of rows removed."""
        removed = 0
        for part in list(self._table.served.values()):
            try:
                while count := await self._step(part):
                    removed += count
            except PartitionLost:
                continue
        return removed

    async def _step(self, part: Partition) -> int:
        limit = now_ms() - self._keep_ms
        place = self._places.get(part.number, 0)
        offsets: list[int] = []
        at = part.swept.at
        early: list[tuple[int, int]] = []  # canceled before they were read: intake must find them
        while part.ended and part.ended[0][0] <= limit and len(offsets) < BATCH:
            finished_at, offset = part.ended.popleft()
            if offset >= place:
                early.append((finished_at, offset))
                continue
            job = part.rows.get(offset)
            if job is not None and job.status.final and job.finished_at == finished_at:
                offsets.append(offset)
                at = max(at, job.submitted_at)
        part.ended.extendleft(reversed(early))
        if offsets:
            mark = Swept(max(part.swept.next, max(offsets) + 1), at)
            await self._table.sweep(part, offsets, mark)
        return len(offsets)
