"""Backoff: a pure function of the number of failures and of chance."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.retry import RetryPolicy

SECONDS = st.floats(0, 1e9)
CHANCE = st.floats(0, 1, exclude_max=True)
FAILURES = st.integers(1, 10_000)


@given(SECONDS, SECONDS, FAILURES, CHANCE)
def test_it_stays_within_its_limits(base: float, cap: float, failures: int, chance: float) -> None:
    delay = RetryPolicy(base, cap).delay_s(failures, lambda: chance)
    assert 0 <= delay <= cap
    assert delay <= base * 2.0 ** min(failures - 1, 100)


@given(SECONDS, SECONDS, FAILURES, st.integers())
def test_it_is_the_same_for_the_same_chance(
    base: float, cap: float, failures: int, seed: int
) -> None:
    policy = RetryPolicy(base, cap)
    first, second = (policy.delay_s(failures, random.Random(seed).random) for _ in range(2))
    assert first == second


@given(SECONDS, SECONDS, FAILURES, CHANCE)
def test_it_never_shrinks_with_more_failures(
    base: float, cap: float, failures: int, chance: float
) -> None:
    policy = RetryPolicy(base, cap)
    assert policy.delay_s(failures, lambda: chance) <= policy.delay_s(failures + 1, lambda: chance)


@given(FAILURES, CHANCE)
def test_no_base_means_at_once(failures: int, chance: float) -> None:
    assert RetryPolicy(0.0, 60.0).delay_s(failures, lambda: chance) == 0


@pytest.mark.parametrize(
    ("failures", "ceiling"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (10**9, 60)]
)
def test_it_doubles_up_to_the_cap_and_jitter_is_over_all_of_it(
    failures: int, ceiling: float
) -> None:
    policy = RetryPolicy()
    assert policy.delay_s(failures, lambda: 1.0) == ceiling
    assert policy.delay_s(failures, lambda: 0.25) == ceiling / 4
    assert policy.delay_s(failures, lambda: 0.0) == 0
