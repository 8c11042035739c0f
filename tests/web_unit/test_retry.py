"""Retries of what has left the log, by a real server on a log in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiokafka.errors import KafkaConnectionError

import handlers  # noqa: F401 - registers those that come with the worker
from jobs.model import Status
from log.reader import Record
from tests.web_unit.fakes import Log, Worker, record, row
from web.problems import as_problems
from web.retry import RetryJob
from web.site import SITE, Site

Client = TestClient[web.Request, web.Application]
HOUR_MS = 3_600_000


def letter(place: int, offset: int, value: bytes | None, **headers: bytes) -> Record:
    """The letter of job 1-offset, an hour after the one before it."""
    told = [
        ("source-topic", b"jobs"),
        ("source-partition", b"1"),
        ("source-offset", b"%d" % offset),
        *((name.replace("_", "-"), text) for name, text in headers.items()),
    ]
    return Record(place, (place + 1) * HOUR_MS, b"1-%d" % offset, value, told)


@pytest_asyncio.fixture
async def near() -> AsyncIterator[tuple[Worker, Client]]:
    worker = Worker(Log({}), {0: {}, 1: {}}, count=2)
    server = web.Application(middlewares=[as_problems])
    server[SITE] = site = Site.of(worker.app, worker.parts)
    faust_web: Any = SimpleNamespace(web_app=server)
    view = RetryJob(worker.app, faust_web)

    async def retry(request: web.Request) -> web.StreamResponse:
        return await view.post(request, **request.match_info)

    server.router.add_post("/job/{id}/retry", retry)
    async with TestClient(TestServer(server)) as client:
        yield worker, client
    await site.peers.close()


async def retried(near: tuple[Worker, Client], id: str, status: int) -> Any:
    async with near[1].post(f"/job/{id}/retry") as reply:
        body = await reply.json(content_type=None)
        assert reply.status == status, body
        return body


def written(worker: Worker) -> list[bytes | None]:
    return [r.value for log in worker.log.partitions.values() for r in log if r.headers]


@pytest.mark.asyncio
@pytest.mark.parametrize("finished", [0, 3, 7, 12])
@pytest.mark.parametrize("known", [True, False])
async def test_the_letter_is_found_wherever_it_is(near, finished, known):
    worker, _ = near
    worker.log.most = 2
    for n in range(10):
        value = b'{"handler": "echo", "data": %d}' % n
        worker.log.dead.setdefault(1, []).append(letter(n, 100 + n, value))
    if known:
        job = row(Status.FAILED, finished_at=(finished + 1) * HOUR_MS)
        worker.table.served[1].rows[103] = job
    worker.places[1] = 200
    told = await retried(near, "1-103", 202)
    assert told["replay_of"] == "1-103"
    assert written(worker) == [b'{"handler": "echo", "data": 3}']


@pytest.mark.asyncio
async def test_a_record_of_a_topic_that_was_made_again_is_another_jobs(near):
    worker, _ = near
    worker.log.partitions[1] = [record(0, b'{"data": "new"}')._replace(timestamp=5)]
    worker.table.served[1].rows[0] = row(Status.FAILED, finished_at=HOUR_MS)
    worker.log.dead[1] = [letter(0, 0, b'{"data": "old"}')]
    await retried(near, "1-0", 202)
    assert written(worker) == [b'{"data": "old"}']


@pytest.mark.asyncio
async def test_nothing_is_left_of_it(near):
    worker, _ = near
    worker.places[1] = 10
    worker.table.served[1].rows.update({0: row(Status.FAILED), 1: row(Status.CANCELED)})
    for id in ("1-0", "1-1"):
        told = await retried(near, id, 410)
        assert told["id"] == id
        assert "submit it anew" in told["detail"]
    await retried(near, "1-5", 404)
    worker.log.dead[1] = [letter(0, 0, None, value_left_out=b"9 bytes")]
    assert "too large" in (await retried(near, "1-0", 410))["detail"]
    assert written(worker) == []


@pytest.mark.asyncio
async def test_kafka_is_away(near):
    worker, _ = near
    worker.table.served[1].rows[0] = row(Status.FAILED)
    worker.log.fails = KafkaConnectionError("away")
    await retried(near, "1-0", 503)
    worker.log.fails = None
    worker.parts.lifecycle.draining = True
    await retried(near, "1-0", 503)
