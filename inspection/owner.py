"""Who owns a partition, as its changelog says: whoever took it over last."""

from __future__ import annotations

from typing import NamedTuple

from inspection.slices import Extent
from log.reader import LogReader, Record
from tables.fold import OWNER_KEY, Fence, Fences, Ownership, fence_of
from tables.marks import read

_TAIL = 500  # records at the end, of which the newest fence is read
_NEAR = 100


class Owner(NamedTuple):
    """``worker``: ``None`` if its ownership record has been compacted away. ``since``: when it
    took the partition over, epoch ms. ``released``: it has let go, and nobody owns it now."""

    fence: Fence
    worker: str | None
    since: int | None
    released: bool


async def owner_of(
    reader: LogReader, changelog: str, partition: int, extent: Extent
) -> Owner | None:
    """The owner; ``None``: nobody has ever taken the partition over.

    Raises:
        KafkaError: the changelog can't be read.
    """
    start, stop = extent
    tail = await reader.read(changelog, partition, max(start, stop - _TAIL), stop)
    fences = Fences()
    last = [record for record in tail if fences.counts(record)]
    if not last:
        return None
    fence = fences.fence
    owned = _owned(last, fence)
    if owned is None:
        # Fences rise with the log, but for void records; nearly all under one are in one piece.
        low, high = start, stop
        while high - low > _NEAR:
            middle = (low + high) // 2
            step = (await reader.fetch(changelog, {partition: middle}, limit=1))[partition]
            found = fence_of(step.records[0]) if step.records else None
            if found is None or found >= fence:
                high = middle
            else:
                low = middle + 1
        near = await reader.read(changelog, partition, max(start, low - _NEAR), low + 2 * _NEAR)
        owned = _owned(near, fence)
    if owned is None:
        return Owner(fence, None, None, False)
    about = read(Ownership, owned.value) or Ownership("")
    return Owner(fence, about.worker or None, owned.timestamp, about.released)


def _owned(records: list[Record], fence: Fence) -> Record | None:
    """The last ownership record under a fence that counts."""
    fences = Fences()
    owned = [r for r in records if fences.counts(r) and r.key == OWNER_KEY]
    return next((r for r in reversed(owned) if fence_of(r) == fence), None)
