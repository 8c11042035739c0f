"""I4: attempts are at most ttl + 1, interruptions apart, in the rows and in what ran."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.faults.checker.case import Case
from tests.faults.checker.fold import JobLog, Row
from tests.faults.checker.model import Violation

DEFAULT_TTL = 2


def attempts(case: Case) -> Iterator[Violation]:
    """The rows count rightly; each run has a row that let it begin."""
    for job, log in case.folded.jobs.items():
        yield from _allowed(case, job, log)
        for before, row in log.transitions:
            if not _counts(before, row):
                yield Violation("I4", job, f"after {before or 'no row'} comes {row}")
    yield from _asked(case)
    for job, done in case.attempted.items():
        log = case.log(job)
        if not log.executing and any(row.status == "canceled" for row in log.rows):
            continue  # rule I3's
        for run, began in done.by_row:
            if began is None:
                text = f"no row of the log lets this run begin: {run}; rows: {log.executing}"
                yield Violation("I4", job, text)


def _asked(case: Case) -> Iterator[Violation]:
    """Each rerun that began was asked for on its topic."""
    asked = set()
    for record in case.history.topics["retry"]:
        wish = json.loads(record.value or b"{}")
        asked.add((wish.get("id"), wish.get("attempt")))
    for job, log in case.folded.jobs.items():
        for row in log.executing:
            if row.attempt > 1 and (job, row.attempt) not in asked:
                yield Violation("I4", job, f"a rerun that no record on jobs-retry asks for: {row}")


def _allowed(case: Case, job: str, log: JobLog) -> Iterator[Violation]:
    admitted = [row for row in log.rows if row.status in ("waiting", "executing")]
    asked = _ttl(case, job)
    for row in admitted:
        most = int((row.doc or {}).get("max_attempts", DEFAULT_TTL + 1))
        if asked is not None and most != asked + 1:
            text = f"max_attempts is {most}, its record asks for a ttl of {asked}: {row}"
            yield Violation("I4", job, text)
            break
        if row.attempt > most:
            yield Violation("I4", job, f"attempt {row.attempt} of at most {most}: {row}")
            break


def _counts(before: Row | None, row: Row) -> bool:
    """Whether the number of attempts follows."""
    if row.status == "gone" or (before is not None and (before.final or before.status == "gone")):
        return True
    was = 0 if before is None else before.attempt
    if row.status == "executing":
        return row.attempt == was + 1
    if before is not None and before.status == "executing" and row.status == "waiting":
        return row.attempt in (was, was - 1)  # a rerun, an interruption
    return row.attempt == was


def _ttl(case: Case, job: str) -> int | None:
    """What the record asks for, if it says so."""
    record = case.records.get(job)
    try:
        request: Any = json.loads((record and record.value) or b"null")
    except ValueError:
        return None
    ttl = request.get("ttl") if isinstance(request, dict) else None
    return ttl if isinstance(ttl, int) else None
