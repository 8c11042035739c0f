"""From an outcome to the next row, where handlers' own code has a say in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agents.outcomes import Outcomes
from execution.executor import Failed
from jobs import Retry, state
from jobs.codec import decode_request
from jobs.model import Job, Status
from jobs.registry import Handler
from jobs.retry import RetryPolicy

NOW = 1_800_000_000_000
DAY_MS = 86_400_000


class Chosen(Retry):
    """A delay that ``Retry`` would not take."""

    def __init__(self, delay_ns: object) -> None:
        super().__init__("not yet")
        self.delay_ns = delay_ns  # type: ignore[assignment] # a handler's mistake is meant


class Patient(RetryPolicy):
    def delay_s(self, failed_attempts: int, uniform: Callable[[], float]) -> float:
        return 1e30


def executing() -> Job:
    job = state.admit(decode_request(b"{}"), handler="a", submitted_at=NOW)
    return state.start(job, now=NOW, worker="w")


def after(error: BaseException, policy: RetryPolicy) -> Job:
    handler = Handler(name="a", function=executing, backoff=policy)
    row = Outcomes(RetryPolicy(), 1_000).row(executing(), handler, Failed(error), NOW)
    assert row.status is Status.WAITING
    return row


@pytest.mark.parametrize("delay_ns", [10**40, -1, 1.5, "30s", None])
def test_a_delay_past_retrys_check_is_the_usual_backoff(delay_ns: object) -> None:
    row = after(Chosen(delay_ns), RetryPolicy(0.0))
    assert (row.next_attempt_at, row.error) == (None, "not yet")


def test_a_delay_that_is_chosen_counts() -> None:
    row = after(Retry("not yet", delay="366d"), RetryPolicy(0.0))
    assert row.next_attempt_at == NOW + 366 * DAY_MS


def test_a_policy_makes_no_job_wait_for_ever() -> None:
    assert after(ValueError("x"), Patient()).next_attempt_at == NOW + 366 * DAY_MS
