"""A changelog partition as the transitions of its jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from jobs.codec import decode_row
from jobs.model import Job, JobId
from log.reader import Record
from tables.fold import AGAIN_HEADER, Fence, Fences, row_offset

KNOWN = 1_000  # records before a place that tell whose it is, and what was told already


class Transition(NamedTuple):
    """A job's new row: where it stands in the changelog, when (epoch ms) and by whom written."""

    job_id: JobId
    place: int
    at: int
    job: Job
    fence: Fence


class Teller:
    """Tells the transitions of one partition, in the order of its log.

    As in ``tables.fold``, records under a lower fence than one before them, and copies that come
    late, are void. What was written again behind a void row is told once.
    Marks, ownership, and rows that are removed are no transitions.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self._fences = Fences()
        self._told: dict[bytes, int] = {}  # key → hash of the last value, of the last ``KNOWN``

    def tell(self, records: Iterable[Record]) -> Iterator[Transition]:
        """Take in the next records."""
        for record in records:
            found = self._transition(record)
            if found is not None:
                yield found

    def _transition(self, record: Record) -> Transition | None:
        key, value, headers = record.key, record.value, record.headers
        if not self._fences.counts(record):
            return None
        offset = row_offset(key, self.partition)
        if offset is None or key is None or self._repeats(key, value) or value is None:
            return None
        if len(headers) > 1 and any(name == AGAIN_HEADER for name, _ in headers):
            return None
        try:
            job = decode_row(value)
        except msgspec.DecodeError:
            return None
        job_id = JobId(self.partition, offset)
        return Transition(job_id, record.offset, record.timestamp, job, self._fences.fence)

    def _repeats(self, key: bytes, value: bytes | None) -> bool:
        told = hash(value)
        if self._told.pop(key, None) == told:
            self._told[key] = told
            return True
        self._told[key] = told
        if len(self._told) > KNOWN:
            del self._told[next(iter(self._told))]  # the one that was told longest ago
        return False
