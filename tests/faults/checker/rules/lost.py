"""I1: no job is lost. I9: what has failed is kept as a dead letter."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.checker.case import Case
from tests.faults.checker.model import Call, Record, Violation, place


def lost(case: Case) -> Iterator[Violation]:
    """Each accepted submission is the record at its place; each record ends.

    Also one whose sender got no answer: it is in the log, so it is a job.
    """
    for job, calls in case.accepted.items():
        record = case.records.get(job)
        if len(calls) > 1 and not _replayed(record, calls):
            yield Violation("I1", job, "accepted twice: " + "; ".join(map(str, calls)))
        if record is None:
            yield Violation("I1", job, f"accepted, but not in the log: {calls[0]}")
            continue
        for call in calls:
            if record.value != _asked(call):
                text = f"accepted, but its place holds another job ({record.value!r}): {call}"
                yield Violation("I1", job, text)
    yield from _keys(case)
    yield from _cancels(case)
    for job in case.records:
        last = case.log(job).last
        if last is None or not (last.final or last.status == "gone"):
            calls = case.accepted.get(job, [])
            who = str(calls[0]) if calls else "its sender was told nothing"
            yield Violation("I1", job, f"not final; last row: {last or 'none'}; accepted: {who}")


def _asked(call: Call) -> bytes:
    return (call.body or "{}").encode()


def _replayed(record: Record | None, calls: list[Call]) -> bool:
    """Whether more than one was right to be told of a job: they asked under its key. Of records
    that were produced, each is a job of its own."""
    produced = sum(call.method == "PRODUCE" for call in calls)
    return record is not None and bool(record.idempotency_key) and produced <= 1


def _keys(case: Case) -> Iterator[Violation]:
    """What is asked over HTTP under one key is one job, for as long as its row is there; another
    body is refused."""
    first: dict[bytes, str] = {}
    for job, calls in sorted(case.accepted.items(), key=lambda each: place(each[0])):
        record = case.records.get(job)
        posted = next((call for call in calls if call.method == "POST"), None)
        if record is None or not record.idempotency_key or posted is None:
            continue
        other = first.get(record.idempotency_key)
        if other is not None and not case.log(other).gone:
            text = f"accepted, though its key {record.idempotency_key!r} is job {other}'s: {posted}"
            yield Violation("I1", job, text)
        first[record.idempotency_key] = job


def _cancels(case: Case) -> Iterator[Violation]:
    """Cancels that Kafka has acknowledged are in the log."""
    asked = {record.job: record.value for record in case.history.topics["cancel"]}
    for call in case.history.calls:
        if call.method == "PRODUCE" and call.path == "cancel" and call.status == 0:
            at = str(call.answer["id"])
            if asked.get(at) != (call.body or "").encode():
                text = f"a cancel was acknowledged, but its place {at} holds {asked.get(at)!r}"
                yield Violation("I1", "", f"{text}: {call}")


def letters(case: Case) -> Iterator[Violation]:
    """Each failed job has a dead letter with its record's value.

    One letter too many is no fault: a worker may die between the letter and the row.
    """
    kept: dict[str, list[bytes | None]] = {}
    for record in case.history.topics["dead"]:
        source = [record.headers.get(f"source-{what}", b"?") for what in ("partition", "offset")]
        kept.setdefault(b"-".join(source).decode(), []).append(record.value)
    for job, rows in case.folded.jobs.items():
        if job in case.records and any(row.status == "failed" for row in rows.rows):
            values = kept.get(job, [])
            if case.records[job].value not in values:
                text = f"failed ({rows.last}), but of {len(values)} dead letters none has its value"
                yield Violation("I9", job, text)
