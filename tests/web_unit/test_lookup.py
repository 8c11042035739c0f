"""From an id to a job."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError

from inspection.unread import unread_row
from jobs.model import JobId, Status
from tables.marks import Swept
from tests.web_unit.fakes import Log, Worker, record, row
from web.lookup import Lookup
from web.problems import BadRequest, NotFound, Unavailable

ID = JobId(0, 0)


def find(worker: Worker, job_id: JobId = ID):
    return asyncio.run(Lookup(worker.parts, worker.owners).find(job_id))


def test_a_row_is_found_without_reading():
    worker = Worker(Log({}), {0: {0: row()}})
    worker.log.fails = AssertionError("read")
    assert find(worker).status is Status.DONE


def test_an_unread_job_is_waiting():
    assert find(Worker(Log({0: [record(0)]}), {0: {}})).status is Status.WAITING


def test_intake_may_read_it_meanwhile():
    worker = Worker(Log({0: [record(0)]}), {0: {}})
    worker.log.at_read = lambda: worker.admit(0, 0, row())
    assert find(worker).status is Status.DONE


def test_a_row_that_came_while_the_record_left_the_log_counts():
    worker = Worker(Log({}), {0: {}})
    worker.log.at_read = lambda: worker.admit(0, 0, row())
    assert find(worker).status is Status.DONE


def test_a_place_beyond_the_end_is_no_job():
    with pytest.raises(NotFound, match="no record at offset 0"):
        find(Worker(Log({}), {0: {}}))


def test_a_place_before_intake_without_a_row_has_expired():
    worker = Worker(Log({0: [record(0)]}), {0: {}})
    worker.places[0] = 1
    with pytest.raises(NotFound, match="expired or never was a job"):
        find(worker)


def test_a_record_whose_row_was_swept_has_expired():
    worker = Worker(Log({0: [record(0)]}), {0: {}})
    worker.table.served[0].marks.put(Swept(1, record(0).timestamp))
    with pytest.raises(NotFound, match="expired"):
        find(worker)


def test_a_partition_that_is_lost_meanwhile_is_not_told_of():
    worker = Worker(Log({0: [record(0)]}), {0: {}})

    def lose():
        worker.table.served.clear()

    worker.log.at_read = lose
    with pytest.raises(Unavailable):
        find(worker)


@pytest.mark.parametrize("error", [KafkaConnectionError("away"), TimeoutError()])
def test_kafka_is_away(error):
    worker = Worker(Log({}), {0: {}})
    worker.log.fails = error
    with pytest.raises(Unavailable, match="Kafka can't be read"):
        find(worker)


def test_a_worker_that_may_be_taken_for_dead_tells_nothing():
    worker = Worker(Log({}), {0: {0: row()}})
    worker.stale = True
    with pytest.raises(Unavailable):
        find(worker)


def test_ids_are_checked():
    lookup = Lookup(Worker(Log({}), {}, count=8).parts, Worker(Log({}), {}).owners)
    assert lookup.parse("7-0") == JobId(7, 0)
    with pytest.raises(BadRequest, match="is no job id"):
        lookup.parse("7")
    with pytest.raises(NotFound, match="8 partitions"):
        lookup.parse("8-0")


def test_a_record_that_can_be_no_job_waits_for_intake_too():
    job = unread_row(record(3, b"\xff"))
    assert (job.status, job.handler, job.attempt) == (Status.WAITING, "", 0)
