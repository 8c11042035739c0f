"""Counts by state, as time goes by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from inspection.timeline import Timeline, _Part
from jobs.codec import encode_row
from jobs.model import Job, JobId, Status
from log.reader import Record
from tables.fold import Fence, row_key

W, E, D, F, C = Status
P = 1
OURS, THEIRS = Fence(2, "a"), Fence(1, "b")


def row(
    place: int, at: int, offset: int, status: Status | None, fence: Fence = OURS, handler: str = ""
) -> Record:
    job = None if status is None else Job(status=status, submitted_at=100 * offset, handler=handler)
    value = None if job is None else encode_row(job)
    return Record(place, at, row_key(JobId(P, offset)), value, fence.headers())


def record(offset: int, at: int, value: bytes = b"{}") -> Record:
    return Record(offset, at, None, value, ())


def counted(
    times: list[int],
    rows: list[Record],
    unread: Sequence[Record] = (),
    **more,
) -> list[dict[Status, int]]:
    timeline = Timeline(times, **more)
    part = _Part(timeline, P)
    part.take(rows)
    part.take_unread([each for each in unread if each.offset >= part.position()])
    return [{s: n for s, n in each.items() if n} for each in timeline.counts()]


def test_a_job_from_its_record_on() -> None:
    rows = [row(0, 150, 1, W), row(1, 200, 1, E), row(2, 300, 1, D), row(3, 400, 1, None)]
    times = [99, 100, 150, 199, 200, 299, 300, 399, 400, 500]
    assert counted(times, rows) == [
        {},
        {W: 1},
        {W: 1},
        {W: 1},
        {E: 1},
        {E: 1},
        {D: 1},
        {D: 1},
        {},
        {},
    ]


def test_what_is_written_later_is_not_known_yet() -> None:
    rows = [row(0, 150, 1, W), row(1, 200, 1, E), row(2, 300, 1, D)]
    assert counted([250], rows) == [{E: 1}]


def test_void_rows_and_those_written_again_count_for_nothing() -> None:
    rows = [row(0, 150, 1, W), row(1, 160, 1, D, THEIRS), row(2, 170, 1, W), row(3, 180, 1, E)]
    assert counted([165, 175, 190], rows) == [{W: 1}, {W: 1}, {E: 1}]


def test_jobs_that_nobody_has_read() -> None:
    rows = [row(0, 150, 1, W), row(1, 900, 5, C)]
    unread = [record(n, 100 * n) for n in range(1, 8)]
    assert counted([350, 550, 950], rows, unread) == [{W: 3}, {W: 5}, {W: 6, C: 1}]


def test_only_jobs_of_a_handler() -> None:
    rows = [row(0, 150, 1, W, handler="mail"), row(1, 160, 2, W, handler="print")]
    unread = [record(3, 300, b'{"handler": "mail"}'), record(4, 400, b'{"handler": "print"}')]
    assert counted([500], rows, unread, handlers=frozenset({"mail"})) == [{W: 2}]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([*Status, None])), max_size=40),
    st.lists(st.integers(0, 1_000), min_size=1, max_size=8, unique=True),
)
def test_at_any_time_it_is_what_the_rows_say(
    log: list[tuple[int, Status | None]], times: list[int]
) -> None:
    rows = [row(n, 600 + 10 * n, offset, status) for n, (offset, status) in enumerate(log)]
    asked = sorted({*times, 2_000})  # the last one is behind all rows
    for at, counts in zip(asked, counted(asked, rows), strict=True):
        states: dict[int, Status | None] = {}
        for each, (offset, status) in zip(rows, log, strict=True):
            first = not any(o == offset for o, _ in log[: each.offset])
            if first and status is not None and 100 * offset <= at <= 1_000:
                states.setdefault(offset, W)
            if each.timestamp <= at:
                states[offset] = status
        assert counts == dict(Counter(s for s in states.values() if s is not None))
