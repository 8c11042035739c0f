"""Queries, merging pages, and naming what is missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.model import Job, JobId, Status
from tests.web_unit.fakes import row
from web import render
from web.listing import Page, Query, merge, uncovered
from web.problems import BadRequest
from web.shapes import Missing

IDS = st.builds(JobId, st.integers(0, 5), st.integers(0, 12))


def page(ids, following=None, partitions=()):
    return Page(
        jobs=[render.entry(i, row()) for i in ids],
        next=None if following is None else str(following),
        partitions=list(partitions),
    )


def shown(merged):
    jobs, following = merged
    return [job.id for job in jobs], following


@given(
    jobs=st.dictionaries(IDS, st.booleans(), max_size=40),
    owner=st.lists(st.integers(0, 2), min_size=6, max_size=6),
    limit=st.integers(1, 5),
    data=st.data(),
)
def test_walking_the_cursor_shows_each_job_once_and_in_order(jobs, owner, limit, data):
    """Whatever worker stops wherever: none is passed over, none comes twice."""
    seen: list[JobId] = []
    after = JobId(0, -1)
    for _ in range(200):
        pages = []
        for worker in range(3):
            own = sorted(i for i in jobs if owner[i.partition] == worker and i > after)
            # A worker looks at some, one at least, and shows those that match the filters.
            looked = own[: data.draw(st.integers(1, limit + 1))]
            shown = [i for i in looked if jobs[i]]
            pages.append(page(shown, looked[-1] if len(looked) < len(own) else None))
        listed, cursor = merge(pages, limit)
        assert len(listed) <= limit
        seen += [JobId.parse(each.id) for each in listed]
        if cursor is None:
            break
        assert JobId.parse(cursor) > after
        after = JobId.parse(cursor)
    else:
        pytest.fail("the cursor never came to the end")
    assert seen == sorted(i for i, matches in jobs.items() if matches)


def test_a_full_page_ends_with_a_cursor_only_if_more_may_come():
    two = [JobId(0, 0), JobId(0, 1)]
    assert merge([page(two)], 2)[1] is None
    assert shown(merge([page(two)], 1)) == (["0-0"], "0-0")
    assert merge([page(two, JobId(0, 7))], 2)[1] == "0-7"


def test_jobs_behind_an_incomplete_page_wait_for_the_next_one():
    slow, quick = page([], JobId(0, 20_000)), page([JobId(1, 0)])
    assert merge([slow, quick], 10) == ([], "0-20000")


def test_a_partition_that_changes_hands_is_shown_once():
    both = [page([JobId(0, 0)]), page([JobId(0, 0)])]
    assert shown(merge(both, 10)) == (["0-0"], None)


def test_nothing_is_missing_when_every_partition_is_covered():
    answers = {"a": page([], partitions=[0, 1]), "b": "it did not answer"}
    assert uncovered({"a": [0, 1], "b": []}, 2, answers) == []
    # It moved to "a" since the metadata was written.
    assert uncovered({"a": [0], "b": [1]}, 2, answers) == []


def test_what_is_missing_is_named():
    answers = {"a": page([], partitions=[0]), "b": "it did not answer in 3s"}
    assert uncovered({"a": [0, 1], "b": [2]}, 4, answers) == [
        Missing("a", [1], "it is recovering them"),
        Missing("b", [2], "it did not answer in 3s"),
        Missing(None, [3], "no worker is known to own them yet"),
    ]


def test_a_page_tells_itself_what_it_lacks():
    lacks = Missing("a", [0], "Kafka can't be read")
    answer = Page(jobs=[], next=None, partitions=[0], missing=[lacks])
    assert uncovered({"a": [0]}, 1, {"a": answer}) == [lacks]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"status": "Done"}, "status"),
        ({"status": ""}, "status"),
        ({"status": "null"}, "status"),
        ({"status": "done,nope"}, "status"),
        ({"order": "oldest"}, "order"),
        ({"order": "newest", "cursor": "3"}, "cursor"),
        ({"cursor": "3-7.5-0"}, "cursor"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "١"}, "limit"),
        ({"limit": "9" * 5_000}, "limit"),
        ({"cursor": "3"}, "cursor"),
        ({"cursor": ""}, "cursor"),
    ],
)
def test_a_wrong_query_names_its_parameter(given, field):
    with pytest.raises(BadRequest, match=f"^{field}: must be ") as caught:
        Query.parse(given)
    assert caught.value.field == field


def test_queries_are_read():
    assert Query.parse({}) == Query(limit=100)
    every = {"status": "done", "handler": "echo", "limit": "1000", "cursor": "3-7"}
    assert Query.parse(every) == Query(
        statuses=frozenset({Status.DONE}),
        handlers=frozenset({"echo"}),
        limit=1000,
        after=JobId(3, 7),
    )
    newest = {
        "order": "newest",
        "cursor": "3-7.5-0",
        "error": "Time",
        "status": "done,failed,canceled",
        "handler": "a,b",
    }
    assert Query.parse(newest) == Query(
        statuses=frozenset({Status.DONE, Status.FAILED, Status.CANCELED}),
        handlers=frozenset({"a", "b"}),
        error="time",
        newest=True,
        before={3: 7, 5: 0},
    )


def test_part_of_an_error_is_found_in_any_case():
    job = Job(status=Status.FAILED, submitted_at=0, error="TimeoutError: Too late")
    assert Query.parse({"error": "too LATE"}).matches(job)
    assert not Query.parse({"error": "early"}).matches(job)
    assert not Query.parse({"error": "late", "status": "done"}).matches(job)
    assert not Query.parse({"error": "x"}).matches(Job(status=Status.DONE, submitted_at=0))
