"""One worker's page: rows and unread records, in order, each once."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st

from jobs.model import Job, JobId, Status
from log.reader import Record
from tables.marks import Swept
from tests.web_unit.fakes import ME, Log, Worker, record, row
from web import scan
from web.listing import Query, merge
from web.scan import Scanner


def pages(worker: Worker, *, status: Status | None = None, handler: str | None = None, **query):
    """All pages of a list, by the cursor."""
    query["statuses"] = frozenset([] if status is None else [status])
    query["handlers"] = frozenset([] if handler is None else [handler])
    limit = query.get("limit", 100)
    found, after = [], None
    for _ in range(500):
        one = asyncio.run(Scanner(worker.parts, worker.owners).page(Query(after=after, **query)))
        jobs, cursor = merge([one], limit)
        found.append((jobs, one))
        if cursor is None:
            return found
        assert after is None or JobId.parse(cursor) > after
        after = JobId.parse(cursor)
    raise AssertionError("it never ends")


def ids(found: list) -> list[str]:
    return [job.id for jobs, _ in found for job in jobs]


PARTITION = st.tuples(
    st.lists(st.sampled_from(["row", "unread", "swept", "hole"]), max_size=12),
    st.integers(0, 12),
)


@given(log=st.lists(PARTITION, max_size=3), limit=st.integers(1, 4), most=st.integers(1, 3))
def test_rows_and_unread_records_are_each_listed_once_and_in_order(log, limit, most):
    records: dict[int, list[Record]] = {}
    served: dict[int, dict[int, Job]] = {}
    places: dict[int, int] = {}
    wanted: list[str] = []
    for n, (kinds, place) in enumerate(log):
        records[n], served[n], places[n] = [], {}, min(place, len(kinds))
        for offset, kind in enumerate(kinds):
            if kind != "hole":
                records[n].append(record(offset))
            if kind == "row":
                served[n][offset] = row()
            if kind == "row" or (kind in ("unread", "swept") and offset >= places[n]):
                wanted.append(f"{n}-{offset}")
    worker = Worker(Log(records), served)
    worker.places.update(places)
    worker.log.most = most
    assert ids(pages(worker, limit=limit)) == wanted


def test_unread_jobs_are_waiting_and_show_what_their_record_says():
    log = Log({0: [record(0, b'{"handler": "echo", "ttl": 0}'), record(1, b"no job")]})
    (jobs, _), *rest = pages(Worker(log, {0: {}}))
    assert not rest
    assert [(j.status, j.handler, j.attempt) for j in jobs] == [
        ("waiting", "echo", 0),
        ("waiting", None, 0),
    ]
    assert jobs[0].max_attempts == 1
    assert jobs[0].submitted_at == "1970-01-01T00:00:01.000Z"


def test_a_job_canceled_before_it_was_read_is_listed_by_its_row():
    log = Log({0: [record(0), record(1)]})
    worker = Worker(log, {0: {1: row(Status.CANCELED)}})
    assert [job.status for job in pages(worker)[0][0]] == ["waiting", "canceled"]


def test_filters():
    rows = {0: row(), 1: row(handler="sleep"), 2: row(Status.FAILED)}
    worker = Worker(Log({0: [record(n, b'{"handler": "sleep"}') for n in range(5)]}), {0: rows})
    worker.places[0] = 3
    assert ids(pages(worker, handler="sleep")) == ["0-1", "0-3", "0-4"]
    assert ids(pages(worker, status=Status.WAITING)) == ["0-3", "0-4"]
    assert ids(pages(worker, status=Status.DONE, handler="echo")) == ["0-0"]


def test_a_list_of_final_jobs_reads_no_records():
    worker = Worker(Log({0: [record(0)]}), {0: {}})
    worker.log.fails = AssertionError("read")
    assert ids(pages(worker, status=Status.DONE)) == []


def test_a_record_that_is_read_meanwhile_is_not_lost_and_not_shown_twice():
    log = Log({0: [record(0), record(1), record(2)]})
    worker = Worker(log, {0: {}})
    turns = iter(range(3))

    async def intake():
        worker.admit(0, next(turns), row())

    log.at_read = intake
    jobs = pages(worker)[0][0]
    assert [(j.id, j.status) for j in jobs] == [
        ("0-0", "done"),
        ("0-1", "done"),
        ("0-2", "waiting"),
    ]


def test_a_record_whose_row_was_swept_is_no_waiting_job():
    worker = Worker(Log({0: [record(0), record(1)]}), {0: {}})
    worker.table.served[0].marks.put(Swept(1, record(0).timestamp))
    assert ids(pages(worker)) == ["0-1"]


@pytest.mark.parametrize("reads", [0, 1])
def test_rows_are_listed_and_the_rest_is_named_when_kafka_is_away(reads):
    log = Log({0: [record(0), record(1)], 1: [record(0)]})
    worker = Worker(log, {0: {0: row()}, 1: {}})
    worker.places[0] = 1
    done = iter(range(reads))

    def fail():
        if next(done, None) is None:
            log.fails = KafkaConnectionError("away")

    log.at_read = fail
    ((jobs, page),) = pages(worker)
    assert [job.id for job in jobs] == ["0-0"]
    assert page.partitions == [0, 1]
    (missing,) = page.missing
    assert (missing.worker, missing.partitions) == (ME, [0, 1])


def test_a_scan_stops_after_so_many_rows_and_goes_on_from_there(monkeypatch):
    monkeypatch.setattr(scan, "SCAN_COST", 3 * scan.LOOK_COST)
    rows = {n: row(Status.FAILED if n == 7 else Status.DONE) for n in range(10)}
    worker = Worker(Log({}), {0: rows})
    found = pages(worker, status=Status.FAILED)
    assert [[job.id for job in jobs] for jobs, _ in found] == [[], [], ["0-7"], []]
    assert found[0][1].next == "0-2"


def test_partitions_that_are_not_served_are_not_told_of():
    worker = Worker(Log({}), {0: {0: row()}, 1: {0: row()}})
    worker.table.served[0].lose("test")
    ((jobs, page),) = pages(worker)
    assert [job.id for job in jobs] == ["1-0"]
    assert page.partitions == [1]
    worker.stale = True
    ((jobs, page),) = pages(worker)
    assert (jobs, page.partitions) == ([], [])


def test_a_partition_lost_while_listing_is_not_told_of_either():
    worker = Worker(Log({0: [record(0)]}), {0: {}})

    def lose():
        worker.table.served.pop(0, None)

    worker.log.at_read = lose
    assert pages(worker)[0][1].partitions == []
