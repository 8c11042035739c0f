"""What has become of jobs, counted and told in the log as their rows become durable.

Rows are the one place that every transition passes, whoever makes it, so nothing is counted
twice and nothing that Kafka hasn't acknowledged.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from jobs.histogram import Histogram
from jobs.model import Job, JobId, Status
from tables.tempo import Tempo

logger = logging.getLogger(__name__)

UNKNOWN = "unknown"
"""In place of a handler that isn't registered: anybody may write any name to the topic."""

WAIT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
ACK_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Transitions:
    """Counts of this worker since it started. ``known``: whether a handler is registered;
    ``tempo`` counts the last minutes."""

    def __init__(self, tempo: Tempo, known: Callable[[str], bool] = lambda name: True) -> None:
        self._tempo = tempo
        self._known = known
        self._names: dict[str, str] = {}  # of handlers that are known
        self.finished: Counter[tuple[str, Status]] = Counter()  # by handler and state
        self.reruns: Counter[str] = Counter()  # by handler: failed or timed out, and reruns left
        self.interruptions: Counter[str] = Counter()  # by handler: to be begun again
        self.waited = Histogram(WAIT_S)  # from when an attempt was due to its start
        self.acknowledged = Histogram(ACK_S)  # a row's, by Kafka

    def note(self, partition: int, offset: int, before: Job | None, job: Job) -> None:
        """A row is durable; ``before`` is the one that it was made from."""
        if job is before:
            return  # written once more, beside a mark
        handler = self._names.get(job.handler) or self._name(job.handler)
        status = job.status
        failed = status is Status.FAILED
        if status.final:
            self.finished[handler, status] += 1
            ran_ms = None
            # Else it was stopped before its attempt: what it says of one is the attempt's before.
            if before is not None and before.status is Status.EXECUTING:
                began = job.started_at
                ran_ms = None if began is None else (job.finished_at or began) - began
            self._tempo.ended(status, ran_ms)
        elif status is Status.EXECUTING:
            due = job.submitted_at
            if before is not None:  # a rerun is due at its time, or at once
                due = before.next_attempt_at or before.finished_at or due
            waited_ms = (job.started_at or due) - due
            self.waited.observe(waited_ms / 1000)
            self._tempo.began(waited_ms)
        elif before is None:
            pass  # admitted
        elif before.status is Status.EXECUTING:
            failed = job.attempt == before.attempt  # else it was broken off, and counts as none
            (self.reruns if failed else self.interruptions)[handler] += 1
        if failed and logger.isEnabledFor(logging.INFO):
            _tell_failure(JobId(partition, offset), job)
        if logger.isEnabledFor(logging.DEBUG):
            _tell(JobId(partition, offset), job, before)

    def _name(self, handler: str) -> str:
        if not self._known(handler):
            return UNKNOWN  # and not kept: there is no end of such names
        self._names[handler] = handler
        return handler


def _tell_failure(job_id: JobId, job: Job) -> None:
    logger.info(
        "job %s attempt %d of %d (%s) failed: %s; %s",
        job_id,
        job.attempt,
        job.max_attempts,
        job.handler or "no handler",
        _line(job.error),
        "it goes to the dead letters" if job.status.final else "it is run again",
        extra={"job": str(job_id), "attempt": job.attempt, "handler": job.handler},
    )


def _tell(job_id: JobId, job: Job, before: Job | None) -> None:
    attempt = max(job.attempt, 0 if before is None else before.attempt)  # also one broken off
    logger.debug(
        "job %s attempt %d (%s): %s -> %s",
        job_id,
        attempt,
        job.handler or "no handler",
        "new" if before is None else before.status.value,
        job.status.value,
        extra={"job": str(job_id), "attempt": attempt, "handler": job.handler},
    )


def _line(text: str | None) -> str:
    """An error in a line, and not too long a one; the job's status has all of it."""
    text = " ".join((text or "").split())
    return text if len(text) <= 300 else text[:297] + "..."
