"""I3: a job that was canceled before it started never runs, a cancel answered 200 holds, and one
that was taken (202, or an acknowledged record) is carried out, unless the job ended first."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.checker.attempts import Attempted
from tests.faults.checker.case import Case
from tests.faults.checker.fold import JobLog, Row
from tests.faults.checker.model import Call, Run, Violation

# From a row that says canceled until no run begins any more: a handler may be on its way to its
# thread or process.
STOPPED_S = 2.0
# From the acknowledgement of a cancel until no attempt begins any more. The worker may be behind:
# it may have been paused or cut off for 12 s, which is the longest that a schedule does. In runs of
# real workers under faults the latest attempt began 0.9 s after it; where nobody carries cancels
# out, those of jobs with a delay begin 18 s after it.
READ_S = 15.0


def cancels(case: Case) -> Iterator[Violation]:
    """By the log, by the answers, and by what ran."""
    yield from _canceled_and_ran(case)
    yield from _answered(case)
    yield from _ignored(case)


def _canceled_and_ran(case: Case) -> Iterator[Violation]:
    """What began although the log says that its job is canceled, however that came."""
    for job, done in case.attempted.items():
        log = case.log(job)
        row = _canceled(log)
        if row is None:
            continue
        for run, began in done.by_row:
            if not log.executing:
                yield Violation("I3", job, f"canceled before it started, but it ran: {run}")
            elif _same_owner(began, row) and run.at * 1000 > row.timestamp + STOPPED_S * 1000:
                yield Violation("I3", job, f"it began after it was canceled, {row}: {run}")


def _answered(case: Case) -> Iterator[Violation]:
    """What was told to be canceled is that, and nothing of it begins any more."""
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
                if run.begin > call.end and _same_owner(began, row):
                    text = f"it began after its cancel was answered: {run}; {call}"
                    yield Violation("I3", call.job, text)


def _ignored(case: Case) -> Iterator[Violation]:
    """Jobs that came to another end by an attempt that began long after a cancel was taken: it
    was to be read by then. One that has come to no end is rule I1's."""
    blamed = set()
    for job, call in case.canceled:
        told = call.is_cancel and call.status == 200  # judged by its answer
        if told or job in blamed or _canceled(case.log(job)) is not None:
            continue
        for run in _ended_by(case, job):
            if _late(run, call) and not _disturbed(case, run, call):
                blamed.add(job)
                late = f"{run.begin - call.end:.1f} s after its cancel was taken"
                text = f"it began {late}, and is {case.log(job).last}: {run}; {call}"
                yield Violation("I3", job, text)


def _ended_by(case: Case, job: str) -> list[Run]:
    """The run of the attempt by which a job came to its end; none if that isn't known."""
    log = case.log(job)
    last = next((row for row in reversed(log.rows) if row.final), None)
    if last is None or not log.executing:
        return []
    runs = case.attempted.get(job, Attempted()).by_row
    return [run for run, began in runs if began is log.executing[-1] and _same_owner(began, last)]


def _late(run: Run, call: Call) -> bool:
    """By the clock that doesn't jump."""
    return run.begin > call.end + READ_S


def _disturbed(case: Case, run: Run, call: Call) -> bool:
    """Whether anything was done to the worker from a while before the cancel to the run: it may
    have been away, and not have read what is in the log."""
    return any(
        run.worker == event.worker and call.at - READ_S <= event.at <= run.at
        for event in case.history.events
    )


def _same_owner(began: Row | None, row: Row) -> bool:
    # A paused worker, whose partition another one has, can't know of the cancel. A run without a
    # row is rule I4's.
    return began is not None and began.fence == row.fence


def _canceled(log: JobLog) -> Row | None:
    return next((row for row in log.rows if row.status == "canceled"), None)
