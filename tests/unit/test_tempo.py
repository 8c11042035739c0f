"""Counting what rows say, in steps and buckets."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from jobs import state
from jobs.model import Job, JobRequest
from tables.tempo import STEP_MS, STEPS, Step, Tempo, bucket_of, middle, percentiles
from tables.transitions import Transitions

T = 100 * STEP_MS


def waiting(at: int = T, delay_ns: int | None = None) -> Job:
    request = JobRequest(data=msgspec.Raw(b"1"), delay_ns=delay_ns)
    return state.admit(request, handler="echo", submitted_at=at)


class Times:
    """A clock, and a tempo by it."""

    def __init__(self) -> None:
        self.now = T
        self.tempo = Tempo(lambda: self.now)
        self.transitions = Transitions(self.tempo)

    def note(self, before: Job | None, job: Job) -> None:
        self.transitions.note(0, 0, before, job)

    def run(self, job: Job, wait_ms: int, run_ms: int, result: bytes = b"1") -> Job:
        due = job.next_attempt_at or job.finished_at or job.submitted_at
        started = state.start(job, now=due + wait_ms, worker="w")
        self.note(job, started)
        done = state.returned(started, now=due + wait_ms + run_ms, result=msgspec.Raw(result))
        self.note(started, done)
        return done


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_buckets_are_in_order_and_near(a: int, b: int) -> None:
    assert (bucket_of(a) < bucket_of(b)) <= (a < b)
    assert abs(middle(bucket_of(a)) - a) <= a / 16
    assert bucket_of(middle(bucket_of(a))) == bucket_of(a)


@given(st.lists(st.integers(0, 10_000_000), min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_percentiles_are_those_of_all_values_to_a_sixteenth(values: list[int], q: float) -> None:
    buckets: dict[int, int] = {}
    for ms in values:
        buckets[bucket_of(ms)] = buckets.get(bucket_of(ms), 0) + 1
    found = percentiles(buckets, {"p": q})
    assert found is not None
    below = [v for v in values if bucket_of(v) < bucket_of(found["p"])]
    upto = [v for v in values if bucket_of(v) <= bucket_of(found["p"])]
    assert len(below) < q * len(values) + 1e-6
    assert len(upto) >= q * len(values) - 1e-6


def test_nothing_has_no_percentiles() -> None:
    assert percentiles({}, {"p50": 0.5}) is None


def test_waits_runs_and_ends_are_counted() -> None:
    times = Times()
    times.run(waiting(), 7, 20)
    times.run(waiting(delay_ns=1_000_000_000), 3, 5)  # due a second later
    rerun = state.failed(
        state.start(waiting(), now=T, worker="w"), now=T + 10, error="x", delay_ms=500
    )
    times.run(rerun, 9, 11)
    at_once = state.failed(
        state.start(waiting(), now=T, worker="w"), now=T + 30, error="x", delay_ms=0
    )
    times.run(at_once, 2, 40)
    (step,) = times.tempo.steps().values()
    assert (step.done, step.failed, step.canceled) == (4, 0, 0)
    assert step.wait == {7: 1, 3: 1, 9: 1, 2: 1}
    assert step.run == {20: 1, 5: 1, 11: 1, bucket_of(40): 1}


def test_what_was_stopped_before_its_attempt_has_run_for_no_time() -> None:
    times = Times()
    job = waiting()
    times.note(job, state.canceled(job, now=T + 5, who="me", why=""))
    started = state.start(job, now=T, worker="w")
    again = state.failed(started, now=T + 10, error="x", delay_ms=500)
    times.note(started, again)
    times.note(again, state.canceled(again, now=T + 20, who="me", why=""))
    times.note(again, state.refused(again, now=T + 20, error="no handler"))
    (step,) = times.tempo.steps().values()
    assert (step.done, step.failed, step.canceled) == (0, 1, 2)
    assert (step.wait, step.run) == ({}, {})


def test_clocks_that_differ_make_no_negative_time() -> None:
    times = Times()
    times.run(waiting(), -50, -1)
    (step,) = times.tempo.steps().values()
    assert (step.wait, step.run) == ({0: 1}, {0: 1})


def test_only_the_last_ten_minutes_are_kept() -> None:
    times = Times()
    for _ in range(STEPS + 20):
        times.run(waiting(), 1, 1)
        times.now += STEP_MS
    first, *_, last = times.tempo.steps()
    now = times.now // STEP_MS
    assert (first, last) == (now - STEPS, now - 1)


def test_a_clock_that_is_put_back_leaves_no_step_to_come() -> None:
    times = Times()
    times.run(waiting(), 1, 1)
    times.now -= 5 * STEP_MS
    assert times.tempo.steps() == {}
    times.run(waiting(), 1, 1)
    times.now += 5 * STEP_MS
    assert list(times.tempo.steps()) == [T // STEP_MS - 5]


def test_steps_of_two_workers_are_added() -> None:
    step = Step(done=1, run={3: 1})
    step.add(Step(done=2, failed=1, canceled=4, run={3: 2, 5: 1}, wait={1: 1}))
    assert step == Step(done=3, failed=1, canceled=4, run={3: 3, 5: 1}, wait={1: 1})
    assert msgspec.json.decode(msgspec.json.encode({7: step}), type=dict[int, Step]) == {7: step}
