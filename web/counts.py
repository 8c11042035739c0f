"""How many of this worker's jobs are in each state."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import islice

from jobs.model import Status
from tables.partition import Partition
from web.owner import Owners

KEEP_S = 1.0  # counts are this old at most, and older while counting is dear
STEP_ROWS = 20_000  # counted in one go; in between, others get the event loop
SHARE = 20  # at most one part in so many of the time is spent on counting


class Counts:
    """Counts rows, and remembers the counts for a while."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners
        self._counted: dict[int, dict[str, int]] = {}
        self._until = 0.0
        self._alone = asyncio.Lock()

    async def by_partition(self) -> dict[int, dict[str, int]]:
        """Partition → state → jobs, of the partitions that this worker serves."""
        async with self._alone:
            loop = asyncio.get_running_loop()
            began = loop.time()
            if began >= self._until or self._counted.keys() != self._owners.all_served().keys():
                self._counted = await self._count()
                took = loop.time() - began
                self._until = loop.time() + max(KEEP_S, took * SHARE)
        return self._counted

    async def _count(self) -> dict[int, dict[str, int]]:
        found: dict[int, dict[str, int]] = {}
        for n, part in self._owners.all_served().items():
            counted: Counter[Status] = Counter()
            place: int | None = 0
            while place is not None:
                place = _step(part, place, counted)
                await asyncio.sleep(0)
            found[n] = {status.value: counted[status] for status in Status}
        return found


def _step(part: Partition, start: int, counted: Counter[Status]) -> int | None:
    """Count rows from ``start`` on; where to go on, or ``None`` at the end."""
    offsets = list(islice(part.rows.irange(start), STEP_ROWS))
    counted.update(part.rows.status(offset) for offset in offsets)
    return offsets[-1] + 1 if len(offsets) == STEP_ROWS else None
