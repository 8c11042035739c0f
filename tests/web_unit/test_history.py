"""Following a job's rows back."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaError

from jobs.codec import encode_row
from jobs.model import Job, JobId, Status
from log.reader import Record
from tables.fold import AGAIN_HEADER, PREV_HEADER, Fence
from tests.web_unit.fakes import Log, Worker, decoded, row
from web.history import AT_ONCE, Histories
from web.lookup import Lookup
from web.problems import NotFound, Unavailable

FENCE = Fence(3, "abcd")
ID = JobId(0, 5)
WAITING = row(Status.WAITING)
EXECUTING = row(Status.EXECUTING, attempt=1, worker="w")


def record(place: int, job: Job, prev: int | None = None, key: bytes = b"0-5") -> Record:
    headers: list[tuple[str, bytes | None]] = [*FENCE.headers()]
    if prev is not None:
        headers.append((PREV_HEADER, b"" if prev < 0 else b"%d" % prev))
    return Record(place, 1_000 + place, key, encode_row(job), headers)


async def told(*records: Record, newest: int, job: Job = EXECUTING) -> Any:
    log = Log({})
    log.changelog[0] = list(records)
    worker = Worker(log, {0: {5: job}})
    worker.table.served[0].places[5] = newest
    return await histories(worker).of(ID)


def histories(worker: Worker) -> Histories:
    return Histories(worker.parts, worker.owners, Lookup(worker.parts, worker.owners))


def places(answer: Any) -> list[int]:
    return [transition.offset for transition in answer.transitions]


@pytest.mark.asyncio
async def test_a_whole_chain() -> None:
    answer = await told(
        record(0, WAITING, -1),
        record(1, WAITING, -1, b"0-6"),
        record(7, EXECUTING, 0),
        newest=7,
    )
    assert decoded(msgspec.json.encode(answer)) == {
        "id": "0-5",
        "topic": "app-jobs-changelog",
        "complete": True,
        "transitions": [
            {
                "at": f"1970-01-01T00:00:01.00{place}Z",
                "status": job.status.value,
                "attempt": job.attempt,
                "error": None,
                "worker": job.worker,
                "next_attempt_at": None,
                "fence": {"number": 3, "instance": "abcd"},
                "partition": 0,
                "offset": place,
            }
            for place, job in ((0, WAITING), (7, EXECUTING))
        ],
    }


@pytest.mark.asyncio
async def test_what_was_written_again_is_told_once() -> None:
    again = record(3, EXECUTING, 1)
    again = again._replace(headers=[*again.headers, (AGAIN_HEADER, b"")])
    answer = await told(
        record(0, WAITING, -1), record(1, EXECUTING, 0), again, record(4, WAITING, 3), newest=4
    )
    assert (places(answer), answer.complete) == ([0, 1, 4], True)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("first", "detail"),
    [
        ([], "what was before place 7 has been compacted away"),
        ([record(0, WAITING)], "what was before place 0 isn't known: no row near it is the job's"),
    ],
)
async def test_a_chain_that_breaks_says_where(first: list[Record], detail: str) -> None:
    answer = await told(*first, record(7, EXECUTING, 0), newest=7)
    assert places(answer) == [each.offset for each in first] + [7]
    assert answer.complete is False
    assert str(answer.detail).startswith(detail)


@pytest.mark.asyncio
async def test_a_job_that_had_this_place_before_is_another_one() -> None:
    former = Job(status=Status.DONE, submitted_at=77)
    answer = await told(record(0, former, -1), record(7, EXECUTING, 0), newest=7)
    assert (places(answer), answer.complete) == ([7], True)


@pytest.mark.asyncio
async def test_kafka_is_away_or_there_is_no_job() -> None:
    worker = Worker(Log({0: []}), {0: {5: EXECUTING}})
    worker.table.served[0].places[5] = 7
    with pytest.raises(NotFound):
        await histories(worker).of(JobId(0, 6))
    worker.log.fails = KafkaError()
    with pytest.raises(Unavailable):
        await histories(worker).of(ID)


@pytest.mark.asyncio
async def test_a_row_that_names_none_is_behind_the_nearest_one() -> None:
    """A cancel that was written while the start was on its way."""
    former = Fence(2, "zz").headers()
    canceled = row(Status.CANCELED, attempt=1, finished_at=1_009)
    answer = await told(
        record(0, WAITING, -1),
        record(1, EXECUTING, 0),
        record(2, WAITING, 0)._replace(headers=former),  # void
        record(3, WAITING, -1, b"0-6"),
        record(9, canceled),
        newest=9,
        job=canceled,
    )
    assert (places(answer), answer.complete) == ([0, 1, 9], True)


@pytest.mark.asyncio
async def test_a_job_that_has_just_ended_needs_no_search() -> None:
    done = row(Status.DONE, finished_at=999_999)  # by a clock that was wrong
    log = Log({})
    others = [record(n, WAITING, key=b"0-6") for n in range(5, 900)]
    log.changelog[0] = [record(0, WAITING, -1), record(4, done, 0), *others]
    worker = Worker(log, {0: {5: done}})
    answer = await histories(worker).of(ID)
    assert (places(answer), answer.complete) == ([], False)
    assert str(answer.detail).startswith("its last row isn't found")
    worker.table.served[0].placed(5, done, 4)
    answer = await histories(worker).of(ID)
    assert (places(answer), answer.complete) == ([0, 4], True)


@pytest.mark.asyncio
async def test_a_record_may_be_a_millisecond_older_than_its_row() -> None:
    """A float cuts the clock off. Many rows came in that millisecond, and a minute before."""
    done = row(Status.DONE, finished_at=2_001)
    other = row(Status.DONE)
    log = Log({})
    log.changelog[0] = [
        *(record(n, other, key=b"0-1")._replace(timestamp=1_000) for n in range(30_000)),
        record(30_000, done, -1)._replace(timestamp=2_000),
        *(record(n, other, key=b"0-1")._replace(timestamp=2_001) for n in range(30_001, 60_000)),
    ]
    answer = await histories(Worker(log, {0: {5: done}})).of(ID)
    assert (places(answer), answer.complete) == ([30_000], True)


@pytest.mark.asyncio
async def test_while_the_owner_is_in_doubt_nothing_is_told() -> None:
    """A row that is durable isn't shown then, and its place is known: they aren't of one moment."""
    done = row(Status.DONE, finished_at=1_004)
    log = Log({})
    log.changelog[0] = [record(0, EXECUTING, -1), record(4, done, 0)]
    worker = Worker(log, {0: {5: EXECUTING}})
    part = worker.table.served[0]
    part.sent(5, done)
    part.seen(3)  # a place that isn't ours
    part.placed(5, done, 4)
    part.durable(5, done)
    asked = asyncio.create_task(histories(worker).of(ID))
    await asyncio.sleep(0)
    part.trusted()
    answer = await asked
    assert (places(answer), answer.complete) == ([0, 4], True)


@pytest.mark.asyncio
async def test_a_few_are_read_at_once() -> None:
    log = Log({})
    log.changelog[0] = [record(0, WAITING, -1)]
    worker = Worker(log, {0: {5: WAITING}})
    worker.table.served[0].places[5] = 0
    reading = most = 0

    async def at_read() -> None:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        await asyncio.sleep(0)
        reading -= 1

    log.at_read = at_read
    all_of_them = histories(worker)
    answers = await asyncio.gather(*(all_of_them.of(ID) for _ in range(50)))
    assert all(answer.complete for answer in answers)
    assert 1 < most <= AT_ONCE
