"""How fast jobs go through this worker: its last ten minutes, in steps of ten seconds.

What each row costs is a few looks into dicts. Durations are counted in fixed buckets that grow
by a sixteenth, so those of several workers are added up, and a percentile is right to 6 %.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from jobs.model import Status

STEP_MS = 10_000
STEPS = 60  # whole ones that are shown


class Step(msgspec.Struct):
    """What happened in one step. ``run`` and ``wait``: bucket → how many."""

    done: int = 0
    failed: int = 0
    canceled: int = 0
    run: dict[int, int] = {}
    wait: dict[int, int] = {}

    def add(self, other: Step) -> None:
        """Add another worker's."""
        self.done += other.done
        self.failed += other.failed
        self.canceled += other.canceled
        for mine, more in ((self.run, other.run), (self.wait, other.wait)):
            for bucket, n in more.items():
                mine[bucket] = mine.get(bucket, 0) + n


class Tempo:
    """Counts what ``Transitions`` tells it of rows that become durable."""

    def __init__(self, clock: Callable[[], int]) -> None:
        """``clock``: the wall clock, epoch milliseconds; steps of all workers are the same."""
        self._clock = clock
        self._steps: dict[int, Step] = {}
        self._number = -1
        self._step = Step()

    def began(self, waited_ms: int) -> None:
        """An attempt began so long after it was due."""
        _count(self._now().wait, waited_ms)

    def ended(self, status: Status, ran_ms: int | None) -> None:
        """A job has come to a final state; ``ran_ms``: how long its last attempt took, if it ended
        by that one."""
        step = self._now()
        if status is Status.DONE:
            step.done += 1
        elif status is Status.FAILED:
            step.failed += 1
        else:
            step.canceled += 1
        if ran_ms is not None:
            _count(step.run, ran_ms)

    def steps(self) -> dict[int, Step]:
        """The last ``STEPS`` and the one that has begun, by number: the time (epoch ms) by
        ``STEP_MS``. Where nothing happened there is none."""
        now = self._clock() // STEP_MS
        return {n: step for n, step in self._steps.items() if now - STEPS <= n <= now}

    def _now(self) -> Step:
        number = self._clock() // STEP_MS
        if number != self._number:
            self._begin(number)
        return self._step

    def _begin(self, number: int) -> None:
        # Those to come were counted by a clock that has been put back since.
        self._steps = {n: s for n, s in self._steps.items() if number - STEPS <= n <= number}
        self._step = self._steps.setdefault(number, Step())
        self._number = number


def percentiles(buckets: Mapping[int, int], wanted: Mapping[str, float]) -> dict[str, int] | None:
    """Milliseconds below which such a share (name → 0 to 1) of what was counted lies."""
    total = sum(buckets.values())
    if not total:
        return None
    found: dict[str, int] = {}
    for name, share in wanted.items():
        left = share * total
        for bucket in sorted(buckets):
            left -= buckets[bucket]
            if left <= 1e-9:
                found[name] = middle(bucket)
                break
    return found


def bucket_of(ms: int) -> int:
    """The bucket of a duration: itself up to 31 ms, then sixteen for each doubling."""
    shift = max(0, ms.bit_length() - 5)
    return 16 * shift + (ms >> shift)


def middle(bucket: int) -> int:
    """A duration in the middle of a bucket, in milliseconds."""
    shift = max(0, bucket // 16 - 1)
    return ((bucket - 16 * shift) << shift) + (1 << shift >> 1)


_SHORT = tuple(bucket_of(ms) for ms in range(1_000))  # nearly all


def _count(buckets: dict[int, int], ms: int) -> None:
    # Clocks of two machines may differ, so it may be less than nothing.
    bucket = _SHORT[ms] if 0 <= ms < len(_SHORT) else bucket_of(max(0, ms))
    buckets[bucket] = buckets.get(bucket, 0) + 1
