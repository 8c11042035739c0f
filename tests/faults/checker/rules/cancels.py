"""I3: a job that was canceled before it started never runs, and a cancel answered 200 holds."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.checker.attempts import Attempted
from tests.faults.checker.case import Case
from tests.faults.checker.fold import JobLog, Row
from tests.faults.checker.model import Violation


def cancels(case: Case) -> Iterator[Violation]:
    """By the log, by the answers, and by what ran."""
    for job, done in case.attempted.items():
        log = case.log(job)
        if _canceled(log) is not None and not log.executing:
            for run, _ in done.by_row:
                yield Violation("I3", job, f"canceled before it started, but it ran: {run}")
    for call in case.history.calls:
        if call.is_cancel and call.status == 200 and call.job is not None:
            log = case.log(call.job)
            row = _canceled(log)
            if row is None:
                yield Violation(
                    "I3", call.job, f"told to be canceled, but it is {log.last}: {call}"
                )
                continue
            for run, began in case.attempted.get(call.job, Attempted()).by_row:
                # A paused worker, whose partition another one has, can't know of the cancel.
                zombie = began is not None and began.fence != row.fence
                if began is not None and run.begin > call.end and not zombie:
                    text = f"it began after its cancel was answered: {run}; {call}"
                    yield Violation("I3", call.job, text)


def _canceled(log: JobLog) -> Row | None:
    return next((row for row in log.rows if row.status == "canceled"), None)
