"""Runs in the journal held against the attempts that the log says were begun.

An attempt's row is durable before its handler is called, so each run has a row of its own: the
same job, attempt and worker, and not later than the run. The latest such row that has no run yet
is taken. A worker that is paused between row and run comes late; then the newer row has its run
already, and the older one is left for the late run.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.faults.checker.fold import Folded, JobLog, Row
from tests.faults.checker.model import Run


@dataclass
class Attempted:
    """A job's runs, each with the row that it began by, or ``None``. ``under_void``: runs that
    only a void row explains."""

    by_row: list[tuple[Run, Row | None]] = field(default_factory=list)
    under_void: list[tuple[Run, Row]] = field(default_factory=list)


def match(runs: list[Run], log: JobLog) -> Attempted:
    """Give each run of a job its row."""
    found = Attempted()
    free, void = log.executing, [row for row in log.void if row.status == "executing"]
    for run in sorted(runs, key=lambda run: run.begin):
        row = _latest(run, free)
        if row is not None:
            free.remove(row)
        else:
            written = _latest(run, void)
            if written is not None:
                void.remove(written)
                found.under_void.append((run, written))
                continue
        found.by_row.append((run, row))
    return found


def match_all(runs: list[Run], folded: Folded) -> dict[str, Attempted]:
    """``match`` for all jobs that ran."""
    by_job: dict[str, list[Run]] = {}
    for run in runs:
        by_job.setdefault(run.job, []).append(run)
    return {job: match(some, folded.jobs.get(job, JobLog())) for job, some in by_job.items()}


def interrupted(log: JobLog, row: Row) -> tuple[Row, bool] | None:
    """The row that broke the attempt of ``row`` off, and whether another fence wrote it (a
    takeover; else its own worker stopped it). ``None``: the attempt came to an outcome."""
    for before, after in log.transitions:
        if before is not None and before.offset >= row.offset and before.status == "executing":
            broken = after.status == "waiting" and after.attempt < before.attempt
            poison = after.status == "failed" and (after.doc or {}).get("crashes", 0) > 0
            return (after, after.fence != row.fence) if broken or poison else None
    return None


def _latest(run: Run, rows: list[Row]) -> Row | None:
    for row in reversed(rows):
        doc = row.doc or {}
        worker = str(doc.get("worker", ""))
        if (
            row.attempt == run.attempt
            and worker.rpartition(":")[2] == run.worker
            # By the record's time: `started_at` is by the worker's clock, which may jump.
            and row.timestamp <= run.at * 1000 + 1
        ):
            return row
    return None
