from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import handlers  # noqa: F401 - registers the built-in ones
from jobs import Context, Scheduled, handler, schedule
from jobs import registry as registry_module
from jobs.model import ScheduledRun
from jobs.registry import HANDLERS
from jobs.schedules import SCHEDULES, Due, Missed, Schedule
from tables.marks import MEMORY, Fired, Marks, Since, Swept

BERLIN = "Europe/Berlin"


@pytest.fixture(autouse=True)
def own_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SCHEDULES, "_by_name", {})
    monkeypatch.setattr(registry_module.HANDLERS, "_handlers", dict(HANDLERS._handlers))


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def made(cron: str, **options: Any) -> Schedule:
    schedule(cron, handler="echo", **options)(lambda at: at.isoformat())
    (one,) = SCHEDULES
    return one


def test_the_next_time() -> None:
    one = made("30 2 * * *", timezone=BERLIN)
    assert one.next(ms("2026-07-01T02:30+02:00")) == ms("2026-07-02T02:30+02:00")
    assert one.next(ms("2026-07-01T02:30+02:00") - 1) == ms("2026-07-01T02:30+02:00")


def test_a_daily_job_runs_once_on_each_day_also_when_clocks_change() -> None:
    one = made("30 2 * * *", timezone=BERLIN)
    at = ms("2026-03-27T12:00+01:00")
    spring = [at := one.next(at) for _ in range(3)]
    assert spring == [
        ms("2026-03-28T02:30+01:00"),
        ms("2026-03-29T03:00+02:00"),  # there is no 02:30 on that day
        ms("2026-03-30T02:30+02:00"),
    ]
    at = ms("2026-10-24T12:00+02:00")
    autumn = [at := one.next(at) for _ in range(2)]
    assert autumn == [ms("2026-10-25T02:30+02:00"), ms("2026-10-26T02:30+01:00")]


def test_six_fields_begin_with_the_second() -> None:
    one = made("*/20 * * * * *")
    assert one.next(ms("2026-07-01T00:00:21Z")) == ms("2026-07-01T00:00:40Z")


def test_what_is_due() -> None:
    one = made("*/5 * * * *", grace="1m")
    noon = ms("2026-07-01T12:00Z")
    assert one.due(noon - 300_000, noon - 1) == Due([], None)
    assert one.due(noon - 300_000, noon) == Due([noon], None)
    assert one.due(noon - 300_000, noon + 60_000 - 1) == Due([noon], None)
    assert one.due(noon - 300_000, noon + 60_000) == Due([], noon)
    assert one.due(noon, noon + 60_000) == Due([], None)
    assert one.due(noon - 86_400_000 * 900, noon + 1) == Due([noon], noon - 300_000)
    assert one.due(noon - 86_400_000 * 900, noon + 61_500) == Due([], noon)


@given(after_s=st.integers(0, 4_000), span_s=st.integers(0, 4_000), ms_off=st.integers(0, 999))
def test_no_time_is_left_out_or_told_twice(after_s: int, span_s: int, ms_off: int) -> None:
    one = Schedule(
        name="n",
        cron="*/7 * * * *",
        timezone=ZoneInfo("UTC"),
        handler="echo",
        missed=Missed.LAST,
        grace_ms=600_000,
        data=Scheduled,
    )
    start = ms("2026-07-01T12:00Z")
    after = start + after_s * 1000 + ms_off
    now = after + span_s * 1000
    every = [t for t in range(start, start + 9_000_000, 60_000) if (t // 60_000) % 60 % 7 == 0]
    between = [t for t in every if after < t <= now]
    edge = now - 600_000
    late = [t for t in between if t <= edge]
    assert one.due(after, now) == Due([t for t in between if t > edge], late[-1] if late else None)


def test_over_a_handler() -> None:
    @schedule("0 2 * * *", timezone=BERLIN, missed="skip")
    @handler("nightly")
    async def nightly(ctx: Context, data: Scheduled) -> str:
        return data.at.isoformat()

    (one,) = SCHEDULES
    assert (one.name, one.handler, one.missed) == ("nightly", "nightly", Missed.SKIP)
    time = one.time(ms("2026-07-01T00:00Z"))
    assert one.data(time) == Scheduled(time)
    assert time.isoformat() == "2026-07-01T02:00:00+02:00"


def test_over_a_function_that_makes_the_data() -> None:
    one = made("0 2 * * *", name="early")
    assert (one.name, one.handler) == ("early", "echo")
    assert one.data(datetime(2026, 7, 1, tzinfo=UTC)) == "2026-07-01T00:00:00+00:00"


async def coroutine(at: datetime) -> None: ...


@pytest.mark.parametrize(
    ("cron", "options", "function", "error"),
    [
        ("* * * *", {}, None, "is no cron expression: Wrong number of fields"),
        ("61 * * * *", {}, None, "is no cron expression: Bad minute"),
        ("0 0 31 2 *", {}, None, "is no cron expression"),
        ("0 0 * * *", {"timezone": "Nowhere/City"}, None, "no time zone is named 'Nowhere/City'"),
        ("0 0 * * *", {"timezone": "../etc"}, None, "no time zone is named"),
        ("0 0 * * *", {"missed": "all"}, None, "missed is 'skip' or 'last', not 'all'"),
        ("0 0 * * *", {"grace": "soon"}, None, "grace: "),
        ("0 0 * * *", {"grace": "10ms"}, None, "grace must be from 1s to 1h, not '10ms'"),
        ("0 0 * * *", {"grace": "2h"}, None, "grace must be from 1s to 1h, not '2h'"),
        ("0 0 * * *", {"name": 5}, None, "name must be text, not 5"),
        ("0 0 * * *", {"name": b"x"}, None, "name must be text, not b'x'"),
        ("0 0 * * *", {"name": "\ud800"}, lambda at: 1, "name is text of 1 to 100 characters"),
        ("0 0 * * *", {"name": "n" * 101}, lambda at: 1, "name is text of 1 to 100 characters"),
        ("0 0 * * *", {}, coroutine, "must be def, not async def"),
        ("0 0 * * *", {}, lambda: 1, r"takes the time, \(at\)"),
        (lambda at: 1, {}, None, r'@schedule\("0 2 \* \* \*"\) is how a schedule is given'),
    ],
)
def test_what_makes_no_sense(cron: Any, options: Any, function: Any, error: str) -> None:
    with pytest.raises((ValueError, TypeError), match=error):
        schedule(cron, handler="echo", **options)(function)
    assert len(SCHEDULES) == 0


def test_what_is_no_handler() -> None:
    with pytest.raises(TypeError, match="is no handler: put @schedule above @handler"):
        schedule("0 0 * * *")(lambda ctx, data: None)

    @handler("counts-up")
    async def typed(ctx: Context, data: int) -> None: ...

    with pytest.raises(TypeError, match="the data of 'counts-up' must be Scheduled"):
        schedule("0 0 * * *")(typed)


def test_a_name_is_taken_once() -> None:
    made("0 0 * * *")
    with pytest.raises(ValueError, match="named 'echo' is there already: give this one name="):
        schedule("0 1 * * *", handler="echo")(lambda at: None)


def test_its_handler_must_be_there() -> None:
    schedule("0 0 * * *", handler="gone")(lambda at: None)
    with pytest.raises(ValueError, match=r"schedule 'gone': no handler is named 'gone' \(known: "):
        SCHEDULES.check(HANDLERS)


def test_the_headers_of_a_run() -> None:
    run = ScheduledRun("nächtlich", 1_800_000_000_000)
    assert ScheduledRun.of(run.headers()) == run
    assert ScheduledRun.of([*run.headers(), ("other", b"1")]) == run


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("schedule", b"n")],
        [("scheduled-at", b"1")],
        [("schedule", b"\xff"), ("scheduled-at", b"1")],
        [("schedule", None), ("scheduled-at", b"1")],
        [("schedule", b"n"), ("scheduled-at", None)],
        [("schedule", b"n"), ("scheduled-at", b"")],
        [("schedule", b""), ("scheduled-at", b"1")],
        [("schedule", b"n" * 101), ("scheduled-at", b"1")],
        [("schedule", b"n"), ("scheduled-at", b"-1")],
        [("schedule", b"n"), ("scheduled-at", b"1" * 16)],
    ],
)
def test_other_headers_are_no_run(headers: Any) -> None:
    assert ScheduledRun.of(headers) is None


def test_each_time_is_admitted_once_in_whatever_order() -> None:
    last: Fired | None = None
    for offset, at in enumerate([1_000, 2_000, 900_000, 3_000]):  # a clock jumps, and back
        assert last is None or not last.covers(at, offset)
        last = Fired.after(last, "n", at, offset)
    assert last is not None
    assert all(last.covers(at, 9) for at in (1_000, 2_000, 3_000, 900_000))
    assert not last.covers(3_000, 3), "its own record, delivered again"
    assert last.covers(2_000, 3)
    assert not last.covers(4_000, 9)
    assert last.until(5_000) == 3_000
    assert last.until(0) is None or last.until(0) == 3_000
    assert last.until(900_000) == 900_000


def test_what_is_too_old_to_be_told_is_one_too_many() -> None:
    last: Fired | None = None
    for n in range(MEMORY + 10):
        last = Fired.after(last, "n", n * 1_000, n)
    assert last is not None
    assert len(last.times) == MEMORY
    assert last.covers(500, 99)
    assert last.covers(10_000, 99)
    assert not last.covers(MEMORY * 1_000 + 10_500, 99)


@pytest.mark.parametrize(
    ("cron", "zone"),
    [
        ("30 2 * * *", BERLIN),
        ("15 1,2,3 * * *", BERLIN),
        ("30 1 * * *", "America/New_York"),
        ("45 1 * * *", "Australia/Lord_Howe"),
        ("*/20 * * * *", BERLIN),
    ],
)
def test_the_last_missed_time_is_one_of_its_times_also_when_clocks_change(
    cron: str, zone: str
) -> None:
    one = made(cron, timezone=zone)
    for day in ("2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"):
        start = ms(f"{day}T00:00+00:00") - 86_400_000
        times = [start]
        while times[-1] < start + 2 * 86_400_000:
            times.append(one.next(times[-1]))
        for now in range(start + 3_600_000, start + 2 * 86_400_000, 600_000):
            before = [at for at in times[1:] if at <= now - one.grace_ms]
            assert one.due(start, now).late == (before[-1] if before else None), (day, now)


def test_marks_by_their_keys() -> None:
    marks = Marks()
    for mark in (Swept(3, 4), Fired("n", 1, 2), Since("n", "* * * * *", 5)):
        assert marks.get(mark.key) in (None, Swept())
        marks.put(mark)
        assert marks.get(mark.key) == mark
    marks.take(b"fired-m", b'{"schedule": "n", "at": 9, "offset": 9}')
    assert marks.fired == {"n": Fired("n", 1, 2)}, "a key that isn't the value's"
    marks.take(b"fired-n", b"nonsense")
    assert marks.fired == {"n": Fired("n", 1, 2)}
    assert marks.get(b"other") is None
