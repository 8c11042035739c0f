"""Where a job's rows stand in the changelog: each names the place of the one before it.

So a job's history is found by following these, however long the changelog is. The newest place is
kept for unfinished jobs, the few, and for those that ended last; a final row is found by its time.
"""

from __future__ import annotations

from jobs.model import Job
from log.reader import Record
from tables.fold import PREV_HEADER
from tables.partition import Partition

FIRST = (PREV_HEADER, b"")  # of a row that is written in place of none
_END = b"}"  # of every row


def prev_header(
    part: Partition, offset: int, before: Job | None, job: Job | None
) -> tuple[str, bytes] | None:
    """The header of a row that is written in place of ``before``. ``None``: the place of that one
    isn't known, since it isn't acknowledged yet, or is final and removed now."""
    if before is None or (job is not None and before.submitted_at != job.submitted_at):
        return FIRST
    place = part.before(offset)
    return None if place is None else (PREV_HEADER, b"%d" % place)


def prev_of(part: Partition, offset: int) -> list[tuple[str, bytes]]:
    """The headers of a row that is written once more."""
    place = part.before(offset)
    return [] if place is None else [(PREV_HEADER, b"%d" % place)]


def place_before(record: Record) -> int | None:
    """The place of the job's row before a record; -1 if that is the first one, ``None`` if it
    isn't said."""
    for name, value in record.headers:
        if name == PREV_HEADER:
            return int(value) if value and value.isdigit() and len(value) < 20 else -1
    return None


def with_place(row: bytes, place: int | None) -> bytes:
    """A row as it stands in the cache."""
    return row if place is None else row + b" %d" % place


def split_places(rows: dict[int, bytes]) -> dict[int, int]:
    """Take the places off rows of the cache; those places, by offset."""
    places = {}
    for offset, row in rows.items():
        if row[-1:] != _END:
            value, _, place = row.rpartition(b" ")
            if place.isdigit():
                rows[offset], places[offset] = value, int(place)
    return places
