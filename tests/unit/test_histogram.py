from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from jobs.histogram import Histogram

BOUNDS = (0.1, 1.0, 10.0)


@given(st.lists(st.floats(-1, 100)))
def test_each_bound_counts_all_that_are_at_most_that(seconds: list[float]) -> None:
    histogram = Histogram(BOUNDS)
    for each in seconds:
        histogram.observe(each)
    assert histogram.cumulative() == [
        (bound, sum(each <= bound for each in seconds)) for bound in (*BOUNDS, math.inf)
    ]
    assert math.isclose(histogram.total_s, sum(max(each, 0) for each in seconds), abs_tol=1e-6)
