"""What the cache knows of a partition, and whether the changelog bears it out.

The log is the truth. What is cached of a partition counts only if reading on from its place
gives what reading the whole log gives. That is not so when:

- it is older than tombstones stay in a compacted log: rows may have been removed since, and
  nothing there says so any more;
- the log is another one (its topic was made again): then the ownership record that the cache
  remembers is not at its place. One that has been compacted away, since there is a newer one,
  can't be told from that, and the log is read whole; it isn't gone before ``JOBS_HISTORY``;
- the log ends before the place (it lost its tail);
- rows are missing from the cache: files of it were lost.
"""

from __future__ import annotations

import msgspec

from log.reader import Slice
from tables.fold import OWNER_KEY, Fence
from tables.marks import MAX_SKEW_MS

FORMAT = 3  # it says the number of the last record


class Kept(msgspec.Struct, frozen=True):
    """A partition as it stood when the changelog had been read up to ``next``: whose it was
    (``fence``, ``released``), where and when (epoch ms) the ownership record that says so was
    written, how many rows there were, and the number of its last record (``seq``). ``at``: the
    time (epoch ms) when nothing had been written behind ``next``, as far as anybody but its
    owner may write there."""

    next: int
    fence: Fence
    released: bool
    owned_at: int
    owned_time: int
    rows: int
    at: int
    seq: int
    format: int = FORMAT


def decode(value: bytes | None) -> Kept | None:
    """Read what ``encode`` made; ``None`` if it is anything else."""
    try:
        kept = msgspec.json.decode(value or b"", type=Kept)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return kept if kept.format == FORMAT else None


def encode(kept: Kept) -> bytes:
    """As it stands in the cache."""
    return msgspec.json.encode(kept)


def too_old(kept: Kept, now: int, max_age_ms: int) -> bool:
    """Whether tombstones that were written since may be gone. A time to come is no time."""
    return not -MAX_SKEW_MS <= now - kept.at < max_age_ms


def doubt(kept: Kept, found: Slice, now: int, max_age_ms: int) -> str | None:
    """Why the cache doesn't count, or ``None`` if it does.

    Args:
        found: what a read of one record at ``owned_at`` gave.
    """
    if too_old(kept, now, max_age_ms):
        return "it is too old"
    record = found.records[0] if found.records else None
    if record is None or (
        (record.offset, record.timestamp, record.key) != (kept.owned_at, kept.owned_time, OWNER_KEY)
        or list(record.headers[:1]) != kept.fence.headers()
    ):
        return "the changelog is another one, or has been compacted since"
    if kept.next > found.end:
        return "the changelog has lost its end"
    return None
