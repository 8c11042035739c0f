"""I5: at most one current attempt; what a former owner writes never counts."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.checker.case import Case
from tests.faults.checker.fold import Row
from tests.faults.checker.model import Run, Violation


def single(case: Case) -> Iterator[Violation]:
    """No two runs of a job at one time under one fence, none under a void row, and nobody is
    shown a void row."""
    for job, done in case.attempted.items():
        for run, row in done.under_void:
            yield Violation("I5", job, f"it ran under a void row, {row}: {run}")
        runs = done.by_row
        for i, (one, first) in enumerate(runs):
            for other, second in runs[i + 1 :]:
                if _at_once(one, other) and _same_owner(first, second):
                    yield Violation("I5", job, f"two runs at one time: {one}; {other}")
    for read in case.reads:
        void = case.void_row(read)
        if void is not None:
            text = f"a void row was shown, {void}: {read.call}"
            yield Violation("I5", read.job, text)


def _at_once(one: Run, other: Run) -> bool:
    # As far as it is known: a process that was killed writes no end.
    return max(one.begin, other.begin) < min(one.last, other.last) or (
        one.begin <= other.begin < one.last or other.begin <= one.begin < other.last
    )


def _same_owner(first: Row | None, second: Row | None) -> bool:
    # A run without a row is rule I4's.
    return first is not None and second is not None and first.fence == second.fence
