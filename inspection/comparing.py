"""What a worker shows of a job, held against the rows of the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from inspection import told
from inspection.briefs import Brief, Briefs, glance
from inspection.folds import Folded
from jobs.model import JobId, Status
from log.reader import Record
from tables.fold import Fences, row_offset

_FIELDS = ("status", "attempt", "submitted_at", "started_at", "finished_at", "next_attempt_at")
_CUT = "…"


def difference(job_id: JobId, shown: Mapping[str, Any], row: Brief) -> str | None:
    """Where they differ, in words; ``None``: nowhere."""
    expected = told.in_list(job_id, row)
    wrong = [
        f"{name}: {shown.get(name)} there, {expected[name]} in the log"
        for name in (*_FIELDS, "handler", "worker")
        if shown.get(name) != expected[name]
    ]
    if not _same_text(shown.get("error"), expected["error"]):
        wrong.append("another error")
    return "; ".join(wrong) or None


def _same_text(shown: str | None, row: str | None) -> bool:
    if shown is None or row is None or not row.endswith(_CUT):
        return shown == row
    return shown.startswith(row[:-1])


class Later:
    """The rows of some jobs from a place of the changelog on, each of which a worker may have shown
    meanwhile: it shows what is durable, so it is never ahead of the log, and not far behind."""

    def __init__(self, folded: Folded, jobs: Iterable[JobId]) -> None:
        """``folded``: the partition, up to that place."""
        kept = folded.briefs
        self.rows = {each.offset: [kept.get(each.offset)] for each in jobs}
        self._partition = folded.partition
        self._fences = Fences(folded.fold.fence, folded.fold.seq)

    def take(self, records: Iterable[Record]) -> None:
        """The next records."""
        for record in records:
            if not self._fences.counts(record):
                continue
            offset = row_offset(record.key, self._partition)
            found = None if offset is None else self.rows.get(offset)
            if found is not None:
                found.append(None if record.value is None else _brief(record.value))

    def shown(self, job_id: JobId, shown: Mapping[str, Any] | None) -> bool:
        """Whether one of them is what a worker shows; ``None``: nothing."""
        rows = self.rows[job_id.offset]
        if shown is None:
            return None in rows
        if None in rows and shown.get("status") == Status.WAITING and not shown.get("attempt"):
            return True  # no worker has read it yet
        return any(row is not None and difference(job_id, shown, row) is None for row in rows)


def _brief(value: bytes) -> Brief | None:
    kept = Briefs()
    try:
        kept.put(0, glance(value))
    except msgspec.DecodeError:
        return None
    return kept[0]


__all__ = ["Later", "difference"]
