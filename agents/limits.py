"""What a worker allows."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.durations import NS_PER_S
from jobs.model import Job
from jobs.retry import RetryPolicy
from settings import Settings


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker allows. ``timeout_s`` is the ceiling over every attempt, if any."""

    workers: int
    rerun_workers: int
    max_open: int
    default_timeout_s: float
    timeout_s: float | None
    max_result_bytes: int
    retry: RetryPolicy

    @classmethod
    def of(cls, s: Settings) -> Limits:
        """As the settings say."""
        return cls(
            s.workers,
            s.rerun_workers,
            s.max_open,
            s.default_timeout_s,
            s.timeout_s,
            s.max_result_bytes,
            RetryPolicy(s.backoff_s, s.backoff_max_s),
        )

    def attempt_s(self, job: Job) -> float:
        """How long an attempt of a job may take."""
        own_ns = job.timeout_ns
        asked_s = self.default_timeout_s if own_ns is None else own_ns / NS_PER_S
        return asked_s if self.timeout_s is None else min(asked_s, self.timeout_s)
