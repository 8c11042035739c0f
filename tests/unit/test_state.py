"""The state machine: the table is the picture, and nothing else is possible."""

import itertools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import state
from jobs.codec import decode_row, encode_row
from jobs.errors import IllegalTransition, JobError
from jobs.model import Job, JobRequest, Malformed, Status
from jobs.state import (
    DEFAULT_TTL,
    MAX_ERROR_CHARS,
    POISON_CRASHES,
    TRANSITIONS,
    Event,
    after,
)

DATA = msgspec.Raw(b'{"a":1}')
RESULT = msgspec.Raw(b"[2]")
NOW = 1_767_225_600_000
PAIRS = list(itertools.product([None, *Status], Event))


def name(status: Status | None) -> str:
    return "[*]" if status is None else status.value


def row(status: Status, **fields: Any) -> Job:
    """A row with all that a row of any status can have."""
    every: dict[str, Any] = {
        "submitted_at": 1,
        "handler": "resize",
        "attempt": 1,
        "max_attempts": 3,
        "timeout_ns": 5,
        "data": DATA,
        "started_at": 2,
        "finished_at": 3,
        "next_attempt_at": 4,
        "error": "before",
        "crashes": 1,
        "worker": "a:1",
    }
    return Job(status=status, **{**every, **fields})


def changed(before: Job, after: Job) -> dict[str, Any]:
    """The fields that differ; a row's other fields must stay as they were."""
    new = msgspec.structs.asdict(after)
    return {k: new[k] for k, v in msgspec.structs.asdict(before).items() if new[k] != v}


# The table


def test_the_table_is_the_picture() -> None:
    drawn = re.findall(r"^    (\S+) --> (\S+) : (\S+)$", state.__doc__ or "", re.MULTILINE)
    table = [(name(was), then.value, event.value) for (was, event), then in TRANSITIONS.items()]
    assert sorted(drawn) == sorted(table)


def test_the_pictures_of_the_table_have_no_other_lines() -> None:
    assert (state.__doc__ or "").count("-->") == len(TRANSITIONS)


@pytest.mark.parametrize(("status", "event"), TRANSITIONS)
def test_a_legal_pair(status: Status | None, event: Event) -> None:
    assert after(status, event) is TRANSITIONS[status, event]


@pytest.mark.parametrize(("status", "event"), [pair for pair in PAIRS if pair not in TRANSITIONS])
def test_an_illegal_pair(status: Status | None, event: Event) -> None:
    was = "a record with no row" if status is None else f"a job that is {status.value}"
    with pytest.raises(IllegalTransition, match=f"^{was} has no transition '{event.value}'$"):
        after(status, event)


def test_no_way_leads_out_of_a_final_state() -> None:
    assert {s for s in Status if s.final} == {Status.DONE, Status.FAILED, Status.CANCELED}
    assert {s for s, _ in TRANSITIONS if s is not None} == {s for s in Status if not s.final}


def test_every_state_can_be_reached_and_every_event_happens() -> None:
    assert set(TRANSITIONS.values()) == set(Status)
    assert {event for _, event in TRANSITIONS} == set(Event)
    assert issubclass(IllegalTransition, JobError)


FUNCTIONS: dict[str, tuple[set[Status], Callable[[Job], Job]]] = {
    "start": ({Status.WAITING}, lambda job: state.start(job, now=NOW, worker="b:2")),
    "returned": ({Status.EXECUTING}, lambda job: state.returned(job, now=NOW, result=RESULT)),
    "rerun": (
        {Status.EXECUTING},
        lambda job: state.failed(job, now=NOW, error="no", delay_ms=1),
    ),
    "give_up": (
        {Status.EXECUTING},
        lambda job: state.failed(job, now=NOW, error="no", delay_ms=1, again=False),
    ),
    "refused": ({Status.WAITING}, lambda job: state.refused(job, now=NOW, error="no")),
    "interrupted": (
        {Status.EXECUTING},
        lambda job: state.interrupted(job, now=NOW, crashed=False),
    ),
    "poison": (
        {Status.EXECUTING},
        lambda job: state.interrupted(
            msgspec.structs.replace(job, crashes=POISON_CRASHES - 1), now=NOW, crashed=True
        ),
    ),
    "died": (
        {Status.EXECUTING},
        lambda job: state.died(
            msgspec.structs.replace(job, crashes=0), now=NOW, exit_code=1, delay_ms=1
        ),
    ),
    "canceled": (
        {Status.WAITING, Status.EXECUTING},
        lambda job: state.canceled(job, now=NOW, who="me", why=""),
    ),
}


@pytest.mark.parametrize(("function", "status"), list(itertools.product(FUNCTIONS, Status)))
def test_a_function_takes_the_states_that_it_is_for(function: str, status: Status) -> None:
    legal, call = FUNCTIONS[function]
    if status in legal:
        assert call(row(status)).status is not status
    else:
        with pytest.raises(IllegalTransition):
            call(row(status))


# The first row


def test_admitted() -> None:
    request = JobRequest(data=DATA)
    job = state.admit(request, handler="resize", submitted_at=7)
    assert job == Job(
        status=Status.WAITING,
        submitted_at=7,
        handler="resize",
        attempt=0,
        max_attempts=DEFAULT_TTL + 1,
        data=DATA,
    )
    assert job.next_attempt == 1


@pytest.mark.parametrize(
    ("asked", "of_handler", "max_attempts"),
    [(None, None, 3), (None, 0, 1), (None, 7, 8), (0, 7, 1), (4, None, 5), (100, 0, 101)],
)
def test_the_records_ttl_wins_over_the_handlers(
    asked: int | None, of_handler: int | None, max_attempts: int
) -> None:
    request = JobRequest(data=DATA, ttl=asked)
    job = state.admit(request, handler="x", submitted_at=7, ttl=of_handler)
    assert job.max_attempts == max_attempts


@pytest.mark.parametrize(
    ("asked", "of_handler", "expected"), [(None, None, None), (None, 9, 9), (5, 9, 5), (5, None, 5)]
)
def test_the_records_timeout_wins_over_the_handlers(
    asked: int | None, of_handler: int | None, expected: int | None
) -> None:
    request = JobRequest(data=DATA, timeout_ns=asked)
    job = state.admit(request, handler="x", submitted_at=7, timeout_ns=of_handler)
    assert job.timeout_ns == expected


@pytest.mark.parametrize(
    ("delay_ns", "at"),
    [(None, None), (0, NOW), (1, NOW), (1_000_000, NOW + 1), (90 * 10**9, NOW + 90_000)],
)
def test_a_delay_counts_from_the_records_time(delay_ns: int | None, at: int | None) -> None:
    request = JobRequest(data=DATA, delay_ns=delay_ns)
    assert state.admit(request, handler="x", submitted_at=NOW).next_attempt_at == at


@given(st.integers(0, 4_102_444_800_000), st.integers(-23, 23))
def test_run_at_is_exact_to_the_millisecond_in_any_zone(at_ms: int, hours: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    request = JobRequest(data=DATA, run_at=moment.astimezone(timezone(timedelta(hours=hours))))
    assert state.admit(request, handler="x", submitted_at=NOW).next_attempt_at == at_ms


def test_rejected() -> None:
    job = state.reject(Malformed("not JSON", "resize"), submitted_at=7, now=NOW)
    assert job == Job(
        status=Status.FAILED,
        submitted_at=7,
        handler="resize",
        attempt=0,
        max_attempts=0,
        finished_at=NOW,
        error="not JSON",
    )


def test_canceled_before_it_was_read() -> None:
    job = state.canceled_unread(handler="echo", submitted_at=7, now=NOW, who="me", why="a mistake")
    assert job == Job(
        status=Status.CANCELED,
        submitted_at=7,
        handler="echo",
        finished_at=NOW,
        error="canceled by me: a mistake",
    )


# Each further row: all that differs from the one before


def test_started() -> None:
    before = row(Status.WAITING)
    assert changed(before, state.start(before, now=NOW, worker="b:2")) == {
        "status": Status.EXECUTING,
        "attempt": 2,
        "started_at": NOW,
        "finished_at": None,
        "next_attempt_at": None,
        "worker": "b:2",
    }


FINAL = {"finished_at": NOW, "next_attempt_at": None, "data": msgspec.UNSET, "crashes": 0}


@pytest.mark.parametrize("whole", [None, 10_000])
def test_returned(whole: int | None) -> None:
    before = row(Status.EXECUTING)
    done = state.returned(before, now=NOW, result=RESULT, whole_bytes=whole)
    expected = {"status": Status.DONE, "error": None, "result": RESULT, **FINAL}
    if whole is not None:
        expected["result_bytes"] = whole
    assert changed(before, done) == expected


def test_failed_with_reruns_left() -> None:
    before = row(Status.EXECUTING, attempt=2, next_attempt_at=None)
    again = state.failed(before, now=NOW, error="boom", delay_ms=250)
    assert changed(before, again) == {
        "status": Status.WAITING,
        "finished_at": NOW,
        "next_attempt_at": NOW + 250,
        "error": "boom",
        "crashes": 0,
    }
    assert again.next_attempt == 3


def test_what_is_due_at_once_has_no_time_that_a_wrong_clock_could_put_off() -> None:
    before = row(Status.EXECUTING, attempt=1, next_attempt_at=4)
    assert state.failed(before, now=NOW, error="boom", delay_ms=0).next_attempt_at is None
    assert state.died(before, now=NOW, exit_code=-9, delay_ms=0).next_attempt_at is None


@pytest.mark.parametrize(("attempt", "again"), [(3, True), (4, True), (1, False)])
def test_failed_for_good(attempt: int, again: bool) -> None:
    before = row(Status.EXECUTING, attempt=attempt)
    over = state.failed(before, now=NOW, error="boom", delay_ms=250, again=again)
    assert changed(before, over) == {"status": Status.FAILED, "error": "boom", **FINAL}


def test_refused() -> None:
    before = row(Status.WAITING)
    over = state.refused(before, now=NOW, error="no handler")
    assert changed(before, over) == {"status": Status.FAILED, "error": "no handler", **FINAL}


@pytest.mark.parametrize(("crashed", "crashes"), [(False, 1), (True, 2)])
def test_an_interruption_gives_the_attempt_back(crashed: bool, crashes: int) -> None:
    before = row(Status.EXECUTING, attempt=2)
    back = state.interrupted(before, now=NOW, crashed=crashed)
    expected = {
        "status": Status.WAITING,
        "attempt": 1,
        "started_at": None,
        "next_attempt_at": None,  # at once: NOW may be what a wrong clock says
        "crashes": crashes,
    }
    assert changed(before, back) == {k: v for k, v in expected.items() if getattr(before, k) != v}
    assert back.next_attempt == before.attempt


def test_poison() -> None:
    before = row(Status.EXECUTING, crashes=POISON_CRASHES - 1)
    over = state.interrupted(before, now=NOW, crashed=True)
    assert changed(before, over) == {
        "status": Status.FAILED,
        "error": "poison: 3 workers in a row died, or were out of reach, while executing it",
        **FINAL,
        "crashes": POISON_CRASHES,
    }


@pytest.mark.parametrize("crashes", [0, 1])
def test_a_process_that_died_gives_the_attempt_back(crashes: int) -> None:
    before = row(Status.EXECUTING, attempt=2, crashes=crashes, trace="before")
    assert changed(before, state.died(before, now=NOW, exit_code=-9, delay_ms=250)) == {
        "status": Status.WAITING,
        "attempt": 1,
        "started_at": None,
        "next_attempt_at": NOW + 250,
        "crashes": crashes + 1,
        "error": "its process died (exit code -9): killed, out of memory, or it called os._exit",
        "trace": None,
    }


def test_a_process_that_died_three_times_in_a_row_is_poison() -> None:
    before = row(Status.EXECUTING, crashes=POISON_CRASHES - 1, trace="before")
    assert changed(before, state.died(before, now=NOW, exit_code=1, delay_ms=250)) == {
        "status": Status.FAILED,
        "error": "poison: its process died 3 times in a row (exit code 1): killed, out of memory, "
        "or it called os._exit",
        "trace": None,
        **FINAL,
        "crashes": POISON_CRASHES,
    }


def test_three_deaths_in_a_row_are_poison_and_not_sooner() -> None:
    job = row(Status.WAITING, attempt=0, crashes=0)
    for crashes in (1, 2):
        job = state.start(job, now=NOW, worker="w")
        job = state.interrupted(job, now=NOW, crashed=True)
        assert (job.status, job.crashes, job.attempt) == (Status.WAITING, crashes, 0)
    job = state.interrupted(state.start(job, now=NOW, worker="w"), now=NOW, crashed=True)
    assert (job.status, job.crashes, job.attempt) == (Status.FAILED, 3, 1)


def test_an_attempt_that_fails_by_itself_breaks_the_row_of_deaths() -> None:
    job = row(Status.WAITING, attempt=0, max_attempts=9, crashes=2)
    job = state.failed(state.start(job, now=NOW, worker="w"), now=NOW, error="no", delay_ms=0)
    job = state.interrupted(state.start(job, now=NOW, worker="w"), now=NOW, crashed=True)
    assert (job.status, job.crashes) == (Status.WAITING, 1)


@pytest.mark.parametrize("status", [Status.WAITING, Status.EXECUTING])
@pytest.mark.parametrize(
    ("why", "error"), [("", "canceled by me"), ("too late", "canceled by me: too late")]
)
def test_canceled(status: Status, why: str, error: str) -> None:
    before = row(status)
    over = state.canceled(before, now=NOW, who="me", why=why)
    assert changed(before, over) == {"status": Status.CANCELED, "error": error, **FINAL}


# Errors


ERRORS: dict[str, Callable[[str], Job]] = {
    "failed": lambda text: state.failed(row(Status.EXECUTING), now=1, error=text, delay_ms=0),
    "gave up": lambda text: state.failed(
        row(Status.EXECUTING, attempt=3), now=1, error=text, delay_ms=0
    ),
    "refused": lambda text: state.refused(row(Status.WAITING), now=1, error=text),
    "rejected": lambda text: state.reject(Malformed(text), submitted_at=1, now=1),
    "canceled": lambda text: state.canceled(row(Status.WAITING), now=1, who=text, why=text),
    "unread": lambda text: state.canceled_unread(
        handler="", submitted_at=1, now=1, who=text, why=text
    ),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_a_long_error_is_cut(kind: str) -> None:
    error = ERRORS[kind]("x" * (MAX_ERROR_CHARS + 1)).error
    assert error is not None
    assert len(error) == MAX_ERROR_CHARS
    assert error.endswith("x...")


def test_an_error_of_just_the_limit_is_whole() -> None:
    text = "x" * MAX_ERROR_CHARS
    assert ERRORS["failed"](text).error == text


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_can_always_be_written_to_a_row(kind: str) -> None:
    """Python's texts may hold lone surrogates, of file names for example; JSON may not."""
    read = decode_row(encode_row(ERRORS[kind]("a\udcffb")))
    assert "a?b" in (read.error or "")


# All histories


STEPS = [
    "start",
    "returned",
    "rerun",
    "give_up",
    "refused",
    "crash",
    "died",
    "interrupted",
    "canceled",
]


@given(st.integers(0, 3), st.lists(st.sampled_from(STEPS), max_size=30))
def test_what_holds_in_every_history(ttl: int, steps: list[str]) -> None:
    request = JobRequest(data=DATA, ttl=ttl)
    job = state.admit(request, handler="x", submitted_at=0)
    crashes_in_a_row = 0
    for now, step in enumerate(steps, 1):
        legal = {Status.EXECUTING} if step == "crash" else FUNCTIONS[step][0]
        if job.status not in legal:
            continue
        if step == "crash":
            crashes_in_a_row += 1
            job = state.interrupted(job, now=now, crashed=True)
        elif step == "died":
            crashes_in_a_row += 1
            job = state.died(job, now=now, exit_code=1, delay_ms=0)
        else:
            job = FUNCTIONS[step][1](job)
            if step == "rerun":
                crashes_in_a_row = 0
        assert 0 <= job.attempt <= job.max_attempts == ttl + 1
        assert (job.started_at is not None) or job.status is not Status.EXECUTING
        assert (job.finished_at is not None) or not job.status.final
        assert (job.data is msgspec.UNSET) is job.status.final
        assert not (job.status.final and job.next_attempt_at is not None)
        assert job.status is Status.DONE or job.result is msgspec.UNSET
        if not job.status.final:
            assert job.crashes == crashes_in_a_row < POISON_CRASHES
        elif step == "crash":
            assert (job.status, job.crashes) == (Status.FAILED, POISON_CRASHES)
        assert decode_row(encode_row(job)).status is job.status
