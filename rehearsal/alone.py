"""One attempt of a job, as a worker would run it; nothing of it is written anywhere."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import NamedTuple

from agents.callers import Callers
from agents.limits import Limits
from agents.outcomes import Outcomes
from execution.executor import Attempt, Outcome
from jobs import state
from jobs.model import Job, JobId
from jobs.registry import Kind


class Ended(NamedTuple):
    """An attempt's end. ``left``: its handler goes on in spite of its stop."""

    row: Job
    outcome: Outcome
    left: bool = False


class Alone:
    """Runs attempts. Reruns are its caller's: a row that waits may be run again."""

    def __init__(self, callers: Callers, limits: Limits, worker: str) -> None:
        self.callers = callers
        self._limits = limits
        self._worker = worker
        self._outcomes = Outcomes(limits.retry, limits.max_result_bytes)

    async def attempt(self, job_id: JobId, job: Job, patience_s: float | None = None) -> Ended:
        """Run the next attempt of a waiting job whose handler there is.

        Args:
            patience_s: how long a handler that was stopped is waited for; ``None``: until it ends.
        """
        handler = self.callers.registry.get(job.handler)
        assert handler is not None  # its row would have failed
        row = state.start(job, now=now_ms(), worker=self._worker)
        timeout_s = self._limits.attempt_s(row)
        attempt = Attempt(f"job {job_id} attempt {row.attempt}")
        call = partial(self.callers.call, handler, job_id, row, timeout_s, attempt.start_clock)
        at_once = handler.kind is not Kind.PROCESS  # its clock is for its own work
        outcome = await attempt.run(call, timeout_s, at_once=at_once)
        after, _ = self._outcomes.kept(row, handler, outcome, now_ms())
        try:
            async with asyncio.timeout(patience_s):
                await attempt.over()
        except TimeoutError:
            return Ended(after, outcome, left=True)
        finally:
            self.callers.ended(job_id)
        return Ended(after, outcome)


def now_ms() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000
