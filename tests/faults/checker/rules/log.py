"""I0: the log was read whole, and each row follows from the one before."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.checker.case import Case
from tests.faults.checker.model import FINAL, Violation

# What may follow a state; final states are rule I2's, numbers of attempts I4's.
_STEPS = {
    "nothing": {"waiting", "executing", "failed", "canceled"},
    "waiting": {"executing", "canceled", "failed"},
    "executing": {"done", "waiting", "failed", "canceled"},
}


def log(case: Case) -> Iterator[Violation]:
    """Places without gaps, rows that can be read, about records that are there, in legal steps."""
    for name, records in case.history.topics.items():
        expected: dict[int, int] = {}
        for record in records:
            wanted = expected.get(record.partition, 0)
            if record.offset != wanted:
                text = f"{name}-{record.partition}: offset {record.offset} where {wanted} should be"
                yield Violation("I0", "", text)
            expected[record.partition] = record.offset + 1
    for record, why in case.folded.unreadable:
        text = f"changelog-{record.partition} offset {record.offset} can't be read: {why}"
        yield Violation("I0", (record.key or b"").decode("utf-8", "replace"), text)
    for job in case.folded.jobs:
        yield from _job(case, job)


def _job(case: Case, job: str) -> Iterator[Violation]:
    record, rows = case.records.get(job), case.log(job)
    for row in rows.rows:
        at = None if row.doc is None else row.doc.get("submitted_at")
        if row.doc is not None and (record is None or at != record.timestamp):
            there = "none" if record is None else f"one of {record.timestamp}"
            yield Violation("I0", job, f"{row} is about a record of {at}; in the log is {there}")
            break
    for row in rows.removed_nothing:
        if not any(void.offset < row.offset for void in rows.void):
            yield Violation("I0", job, f"removed, though it has no row: {row}")
    for before, row in rows.transitions:
        was = before.status if before is not None else "nothing"
        if was not in FINAL and was != "gone" and row.status not in _STEPS[was]:
            yield Violation("I0", job, f"after {before or 'no row'} comes {row}")
