"""Rows in brief, and the fold of a changelog a piece at a time."""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from inspection import briefs
from inspection.briefs import Briefs, Glance
from inspection.folds import Folded
from jobs.codec import encode_row
from jobs.model import Job, JobId, Status
from log.reader import Record
from tables.fold import OWNER_KEY, Fence, Fold, Ownership, row_key
from tables.marks import Swept

P = 3
FENCES = [Fence(1, "aaaa"), Fence(1, "bbbb"), Fence(2, "aaaa"), Fence(3, "cccc")]
times = st.none() | st.integers(0, 2**45)
rows = st.builds(
    Glance,
    status=st.sampled_from(Status),
    submitted_at=st.integers(0, 2**45),
    handler=st.text(max_size=20),
    attempt=st.integers(0, 101),
    max_attempts=st.integers(1, 101),
    started_at=times,
    finished_at=times,
    next_attempt_at=times,
    error=st.none() | st.text(max_size=briefs.LONGEST),
    worker=st.none() | st.text(max_size=30),
    replay_of=st.none() | st.just("7-123456789012"),
    timeout_ns=times,
)


@given(rows)
def test_a_row_comes_back_as_it_went_in(row: Glance) -> None:
    kept = Briefs()
    kept.put(5, row)
    assert kept.submitted(5) == row.submitted_at
    assert kept[5]._asdict() == msgspec.structs.asdict(row)
    assert list(kept.wanted()) == [(5, kept[5])]
    assert kept.status(5) is row.status


def test_long_errors_are_cut_and_very_many_cut_shorter(monkeypatch) -> None:
    monkeypatch.setattr(briefs, "MOST_TEXTS", 4)
    kept = Briefs()
    for n in range(6):
        kept.put(n, Glance(Status.FAILED, 1, handler="h", worker="w", error=f"{n}" + "x" * 1_000))
    lengths = [len(kept[n].error or "") for n in range(6)]
    assert lengths == [briefs.LONGEST] * 2 + [briefs.LONGEST_OWN] * 4
    assert all((kept[n].error or "").startswith(f"{n}xx") for n in range(6))
    assert kept[5].handler == "h"


def test_what_nobody_wants_is_counted() -> None:
    kept = Briefs()
    kept.put(3, Glance(Status.DONE, 1), wanted=False)
    kept.put(1, Glance(Status.FAILED, 1))
    kept.put(2, Glance(Status.DONE, 1))
    kept.put(9, Glance(Status.WAITING, 1))
    kept.drop(9)
    assert kept.counts() == Counter({Status.DONE: 2, Status.FAILED: 1})
    assert [offset for offset, _ in kept.wanted()] == [1, 2]
    assert (kept.offsets(), len(kept), 3 in kept, 9 in kept) == ([1, 2, 3], 3, True, False)


def test_times_beyond_any_calendar_are_no_crash() -> None:
    kept = Briefs()
    kept.put(1, Glance(Status.DONE, 2**70, finished_at=-(2**70)))
    assert kept[1].submitted_at == 2**63 - 1


def value(status: Status, n: int) -> bytes:
    return encode_row(Job(status=status, submitted_at=n))


records = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(FENCES),
            st.integers(0, 6).map(lambda o: row_key(JobId(P, o))),
            st.none() | st.just(b"{}") | st.builds(value, st.sampled_from(Status), st.just(7)),
        ),
        st.tuples(
            st.sampled_from(FENCES),
            st.just(OWNER_KEY),
            st.just(msgspec.json.encode(Ownership("w"))),
        ),
    ),
    max_size=60,
)


@given(records, st.lists(st.integers(0, 60), max_size=4))
def test_a_fold_by_pieces_is_the_fold(log: list, cuts: list[int]) -> None:
    made = [Record(n, n, key, row, fence.headers()) for n, (fence, key, row) in enumerate(log)]
    whole = Fold(P)
    whole.apply_all(made)
    folded = Folded(P, Fold(P), whole={})
    edges = [0, *sorted(min(cut, len(made)) for cut in cuts), len(made)]
    for start, stop in pairwise(edges):
        folded.take(made[start:stop])
    readable = {o: row for o, row in whole.rows.items() if row != b"{}"}
    assert folded.whole == readable
    assert folded.briefs.offsets() == sorted(readable)
    same = dataclasses.replace(folded.fold, rows=whole.rows, changed=None)
    assert same == whole


def test_where_intake_may_be() -> None:
    folded = Folded(P, Fold(P))
    assert folded.intake(40) == 40
    folded.fold.marks.put(Swept(50, 1_000))
    assert folded.intake(40) == 50
    for offset, status in ((60, Status.DONE), (61, Status.CANCELED), (70, Status.CANCELED)):
        folded.briefs.put(offset, Glance(status, 1))
    assert folded.intake(40) == 61
    assert folded.was_swept(Record(49, 1_000, None, b"", ()))
    assert not folded.was_swept(Record(49, 1_001, None, b"", ()))
    assert not folded.was_swept(Record(50, 1_000, None, b"", ()))
