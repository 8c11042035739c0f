"""Rows that are kept as bytes are found as others are, and nothing is decoded for nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.codec import decode_row, encode_row
from jobs.model import Job, Status
from tables import rows
from tests.web_unit.fakes import Log, Worker, row
from web import backwards, scan
from web.backwards import Backwards
from web.glance import glance
from web.listing import Query, merge, merge_newest
from web.scan import Scanner

# Odd names, and texts that look like other parts of a row.
NAMES = st.sampled_from(["", "echo", "resize-image", 'a"b', "a\\b", "naïve", "error", "a<b", "[x]"])
TEXTS = st.none() | st.sampled_from(["No route to HOST", "", '"error"', '{"status":"done"', "ßÜ"])
JOBS = st.builds(
    lambda status, handler, error, worker: row(status, handler, error=error, worker=worker),
    st.sampled_from(Status), NAMES, TEXTS, TEXTS,
)  # fmt: skip
QUERIES = st.builds(
    Query,
    statuses=st.frozensets(st.sampled_from(Status), max_size=2),
    handlers=st.frozensets(NAMES, max_size=2),
    error=st.sampled_from(["", "route", "ss", '"', "error", "done"]),
)


@given(JOBS, QUERIES)
def test_what_matches_is_never_ruled_out(job: Job, query: Query) -> None:
    mine = encode_row(job)
    fields = json.loads(mine)
    others = [json.dumps(fields), json.dumps(fields, ensure_ascii=False, sort_keys=True)]
    for each in (mine, *(text.encode() for text in others)):
        assert decode_row(each) == job
        may = glance(query)
        if query.matches(job) and may is not None:
            assert may(each)


@pytest.mark.parametrize(
    ("query", "jobs"),
    [
        (Query(statuses=frozenset({Status.FAILED})), 20),
        (Query(handlers=frozenset({"rare"})), 2),
        (Query(error="no route"), 20),
        (Query(error="no route", statuses=frozenset({Status.DONE})), 0),
    ],
)
def test_pages_of_rows_that_are_bytes(
    query: Query, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through to the end, by pages that cost a little each; few are decoded."""
    made = {
        n: row(
            Status.FAILED if n % 50 == 49 else Status.DONE,
            "rare" if n % 500 == 77 else "echo",
            error="OSError: No route to host" if n % 50 == 49 else None,
        )
        for n in range(1_000)
    }
    worker = Worker(Log({}), {0: {}})
    worker.table.served[0].recovered([(n, encode_row(job)) for n, job in made.items()])
    decoded: list[bytes] = []

    def decode(value: bytes) -> Job:
        decoded.append(value)
        return decode_row(value)

    monkeypatch.setattr(rows, "decode_row", decode)
    monkeypatch.setattr(scan, "SCAN_COST", 70)
    monkeypatch.setattr(backwards, "SCAN_COST", 70)
    monkeypatch.setattr(backwards, "ROWS_AT_ONCE", 50)
    monkeypatch.setattr(scan, "AT_ONCE", 50)
    wanted = [f"0-{n}" for n, job in made.items() if query.matches(job)]
    assert len(wanted) == jobs
    found, after, pages = [], None, 0
    while pages == 0 or after is not None:
        page = asyncio.run(
            Scanner(worker.parts, worker.owners).page(
                Query(query.statuses, query.handlers, query.error, after=after)
            )
        )
        listed, cursor = merge([page], 100)
        found += [job.id for job in listed]
        after = None if cursor is None else Query.parse({"cursor": cursor}).after
        pages += 1
    assert found == wanted
    assert 10 < pages < 40
    found = []
    before: Mapping[int, int] = {}
    for _ in range(pages):
        page = asyncio.run(
            Backwards(worker.parts, worker.owners).page(
                Query(query.statuses, query.handlers, query.error, newest=True, before=before)
            )
        )
        listed, cursor = merge_newest([page], 100, before)
        found += [job.id for job in listed]
        if cursor is None:
            break
        before = Query.parse({"cursor": cursor, "order": "newest"}).before
    assert found == wanted[::-1]
    assert len(decoded) <= 2 * max(jobs, 1)
