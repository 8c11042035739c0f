"""What a rehearsal came to, job by job and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from jobs.model import Job, JobId
from rehearsal.batch import Rehearsed
from rehearsal.compare import Outcome, Verdict, comparable, compare

DIFFERENCES = (Verdict.BETTER, Verdict.WORSE, Verdict.DIFFERENT)


class Result(NamedTuple):
    """One job: ``then`` is what is recorded, ``differs`` the fields that do."""

    job_id: JobId
    handler: str
    verdict: Verdict
    then: Outcome | None
    now: Outcome
    differs: tuple[str, ...]
    job: Rehearsed

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "id": str(self.job_id),
            "handler": self.handler,
            "verdict": self.verdict,
            "differs": self.differs,
            "then": None if self.then is None else self.then.told(),
            "now": self.now.told(),
            "follow_ups": self.job.follow_ups,
            "submitted": self.job.submitted,
        }


class Report:
    """Takes jobs in as they end, and gives results on."""

    def __init__(self, ignore: Collection[str], tell: Callable[[Result], None]) -> None:
        self._ignore = ignore
        self._tell = tell
        self._then: dict[JobId, Outcome] = {}
        self.counts: Counter[Verdict] = Counter()
        self.skipped: Counter[str] = Counter()
        self.follow_ups = 0
        self.ms_then = 0  # what attempts took, of jobs that have both durations
        self.ms_now = 0

    @property
    def ran(self) -> int:
        """Jobs that were run."""
        return sum(self.counts.values())

    @property
    def differ(self) -> int:
        """Jobs that came to something else."""
        return sum(self.counts[verdict] for verdict in DIFFERENCES)

    def expect(self, job_id: JobId, row: Job | None) -> None:
        """What is recorded of a job that is going to be run."""
        if row is not None and comparable(row):
            self._then[job_id] = Outcome.of(row)

    def skip(self, why: str) -> None:
        """A job that isn't run."""
        self.skipped[why] += 1

    def take(self, job: Rehearsed) -> None:
        """A job has ended."""
        then = self._then.pop(job.job_id, None)
        if job.skipped is not None:
            self.skip(job.skipped)
            return
        now = Outcome.of(job.row)
        verdict, differs = (Verdict.NEW, ()) if then is None else compare(then, now, self._ignore)
        self.counts[verdict] += 1
        self.follow_ups += job.follow_ups
        if then is not None and then.duration_ms is not None and now.duration_ms is not None:
            self.ms_then += then.duration_ms
            self.ms_now += now.duration_ms
        self._tell(Result(job.job_id, job.row.handler, verdict, then, now, differs, job))

    def summary(self) -> dict[str, Any]:
        """The numbers, as JSON has them."""
        return {
            "ran": self.ran,
            **{each.value: self.counts[each] for each in Verdict},
            "skipped": dict(self.skipped),
            "follow_ups": self.follow_ups,
            "attempts_ms": {"then": self.ms_then, "now": self.ms_now},
        }
