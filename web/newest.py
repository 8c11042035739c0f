"""Whether what this worker holds is the newest, while partitions change hands.

In a rebalance the new owner of a partition may be quicker than the news that it is one: for some
milliseconds two workers answer for it, and a reader who asks one and then the other would see a
job go back. The changelog tells: whoever takes a partition over writes to it first.
"""

from __future__ import annotations

from collections.abc import Mapping

from log.reader import LogReader
from tables.fold import Fold
from tables.partition import Partition
from web.reading import NotRead, fetch

READ_S = 1.0
_RECORDS = 1_000  # of our own that may be on their way, at most


async def superseded(reader: LogReader, changelog: str, parts: Mapping[int, Partition]) -> set[int]:
    """Those of these partitions that another worker has written to, or may have."""
    fences = {n: part.fence for n, part in parts.items()}
    try:
        starts = {n: part.cursor for n, part in parts.items()}
        steps = await fetch(reader, changelog, starts, _RECORDS, READ_S)
    except NotRead:
        return set(parts)
    found = set()
    for n, step in steps.items():
        fold = Fold(n, fence=fences[n])
        fold.apply_all(step.records)
        # Also if ours is the last fence: another one may have been before it, under its number.
        if not fold.owners <= {fences[n].instance} or step.next < step.end:
            found.add(n)
    return found
