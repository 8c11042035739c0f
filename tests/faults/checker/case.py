"""A history with what all rules need of it, worked out once."""

from __future__ import annotations

from functools import cached_property

from tests.faults.checker.attempts import Attempted, match_all
from tests.faults.checker.fold import Folded, JobLog, Row, fold
from tests.faults.checker.model import Call, History, Record
from tests.faults.checker.reads import Read, reads
from tests.faults.checker.shown import differences, shown


class Case:
    """What is judged."""

    def __init__(self, history: History) -> None:
        self.history = history

    @cached_property
    def folded(self) -> Folded:
        """The changelog."""
        return fold(self.history.topics["changelog"])

    @cached_property
    def records(self) -> dict[str, Record]:
        """The records of jobs, by id: every one is a job, whoever wrote it."""
        return {record.job: record for record in self.history.topics["jobs"]}

    @cached_property
    def accepted(self) -> dict[str, list[Call]]:
        """The calls that were told that their job is accepted, by id, in the order of the ends."""
        found: dict[str, list[Call]] = {}
        for call in sorted(self.history.calls, key=lambda call: call.end):
            if call.accepted is not None:
                found.setdefault(call.accepted, []).append(call)
        return found

    @cached_property
    def canceled(self) -> list[tuple[str, Call]]:
        """The cancels that were taken, of jobs that were there by then; with their jobs."""
        found = []
        for call in self.history.calls:
            job = call.canceled
            if job in self.records and (call.is_cancel or self._accepted_before(job, call)):
                found.append((job, call))
        return found

    def _accepted_before(self, job: str, call: Call) -> bool:
        return job in self.accepted and self.accepted[job][0].end <= call.begin

    @cached_property
    def reads(self) -> list[Read]:
        """What clients saw of jobs in the course of the run."""
        return list(reads(self.history.calls))

    @cached_property
    def attempted(self) -> dict[str, Attempted]:
        """What ran, by job."""
        return match_all(self.history.runs, self.folded)

    def log(self, job: str) -> JobLog:
        """A job's rows; none if it has none."""
        return self.folded.jobs.get(job, JobLog())

    def void_row(self, read: Read) -> Row | None:
        """The void row that a read shows, if no row that counts looks like it."""
        log = self.log(read.job)
        if not log.void or log.positions(read.answer):
            return None
        looks = (row for row in log.void if row.doc is not None)
        return next((r for r in looks if not differences(shown(r.doc or {}), read.answer)), None)
