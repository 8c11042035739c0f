"""Submitting and canceling, by a real server on a log in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiokafka.errors import MessageSizeTooLargeError

import handlers  # noqa: F401 - registers those that come with the worker
from jobs.model import Status
from log.writer import NotWritten
from tests.web_unit.fakes import Log, Worker, decoded, record, row
from web import api
from web.problems import as_problems
from web.site import SITE, Site

Client = TestClient[web.Request, web.Application]


class Near:
    """A worker and a client of it."""

    def __init__(self, worker: Worker, client: Client) -> None:
        self.worker, self.client = worker, client

    async def call(self, method: str, path: str, status: int, **options: Any) -> Any:
        async with self.client.request(method, path, **options) as reply:
            body = await reply.json(content_type=None)
            assert reply.status == status, body
            if status == 503:
                assert reply.headers["Retry-After"] == "1"
            return body


@pytest_asyncio.fixture
async def near() -> AsyncIterator[Near]:
    worker = Worker(Log({}), {0: {}, 1: {}, 2: {}}, count=3)
    server = web.Application(middlewares=[as_problems], client_max_size=1_000)
    server[SITE] = site = Site.of(worker.app, worker.parts)
    faust_web: Any = SimpleNamespace(web_app=server)

    async def cancel(request: web.Request) -> web.StreamResponse:
        return await canceling.post(request, **request.match_info)

    submit = api.SubmitJob(worker.app, faust_web)
    canceling = api.CancelJob(worker.app, faust_web)
    assert (submit.get_methods(), canceling.get_methods()) == ({"POST"}, {"POST"})
    assert api.JobStatus(worker.app, faust_web).get_methods() == {"GET", "HEAD"}
    server.router.add_post("/job", submit.post)
    server.router.add_post("/job/{id}/cancel", cancel)
    async with TestClient(TestServer(server)) as client:
        yield Near(worker, client)
    await site.peers.close()


@pytest.mark.asyncio
async def test_a_job_is_written_as_it_was_sent(near):
    sent = b' {"data": [1.50],\n "handler": "echo", "mine": true}'
    async with near.client.post("/job", data=sent) as reply:
        assert reply.status == 202
        body = decoded(await reply.read())
        assert reply.headers["Location"] == f"/job/{body['id']}/status"
    assert body["status"] == "waiting"
    partition, offset = map(int, body["id"].split("-"))
    assert near.worker.log.partitions[partition][offset].value == sent


@pytest.mark.asyncio
async def test_partitions_take_turns_and_an_empty_body_is_a_job(near):
    for _ in range(6):
        await near.call("POST", "/job", 202)
    values = {n: [r.value for r in log] for n, log in near.worker.log.partitions.items()}
    assert values == {n: [b"{}", b"{}"] for n in range(3)}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, None),
        (b"\xff", 400, None),
        (b'{"ttl": -1}', 422, "ttl"),
        (b'{"timeout": "soon"}', 422, "timeout"),
        (b'{"handler": "nobody"}', 422, "handler"),
        (b" " * 1_001, 413, None),
    ],
)
async def test_what_can_be_no_job_is_not_written(near, body, status, field):
    told = await near.call("POST", "/job", status, data=body)
    assert told.get("field") == field
    assert near.worker.log.partitions == {}


@pytest.mark.asyncio
async def test_an_unknown_handler_is_told_which_there_are(near):
    told = await near.call("POST", "/job", 422, data=b'{"handler": "nobody"}')
    assert "'nobody'" in told["detail"]
    assert "echo" in told["detail"]


@pytest.mark.asyncio
async def test_kafka_does_not_take_it(near):
    near.worker.writer.fails = NotWritten("Kafka didn't acknowledge in 5s (jobs)")
    told = await near.call("POST", "/job", 503)
    assert "may have been accepted" in told["detail"]
    too_large = NotWritten("refused")
    too_large.__cause__ = MessageSizeTooLargeError()
    near.worker.writer.fails = too_large
    told = await near.call("POST", "/job", 413)
    assert "max.message.bytes" in told["detail"]


@pytest.mark.asyncio
async def test_a_worker_that_stops_takes_nothing_new(near):
    near.worker.parts.lifecycle.draining = True
    await near.call("POST", "/job", 503)


@pytest.mark.asyncio
async def test_cancel_of_a_waiting_job(near):
    near.worker.admit(1, 0, row(Status.WAITING))
    near.worker.cancels.then = lambda: near.worker.admit(1, 0, row(Status.CANCELED))
    told = await near.call("POST", "/job/1-0/cancel", 200, data=b'{"why": "late"}')
    assert told == {"id": "1-0", "status": "canceled"}
    assert near.worker.cancels.seen == [("1-0", "127.0.0.1", "late")]


@pytest.mark.asyncio
async def test_who_asks_may_be_named(near):
    near.worker.admit(1, 0, row(Status.WAITING))
    near.worker.cancels.then = lambda: near.worker.admit(1, 0, row(Status.CANCELED))
    await near.call("POST", "/job/1-0/cancel", 200, headers={"X-Jobs-User": "a" * 500})
    assert near.worker.cancels.seen == [("1-0", "a" * api.MAX_WHO_CHARS, "")]


@pytest.mark.asyncio
async def test_cancel_of_a_job_that_no_worker_has_read(near):
    near.worker.log.partitions[1] = [record(0)]
    rows = near.worker.table.served[1].rows
    near.worker.cancels.then = lambda: rows.update({0: row(Status.CANCELED)})
    await near.call("POST", "/job/1-0/cancel", 200)


@pytest.mark.asyncio
async def test_cancel_that_takes_longer_is_accepted(near, monkeypatch):
    monkeypatch.setattr(api, "CANCEL_WAIT_S", 0.05)
    near.worker.admit(1, 0, row(Status.EXECUTING))
    told = await near.call("POST", "/job/1-0/cancel", 202)
    assert told == {"id": "1-0", "status": "executing"}


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [Status.DONE, Status.FAILED])
async def test_a_final_job_stays(near, status):
    near.worker.admit(1, 0, row(status))
    told = await near.call("POST", "/job/1-0/cancel", 409)
    assert told["id"] == "1-0"
    assert status.value in told["detail"]
    assert near.worker.cancels.seen == []


@pytest.mark.asyncio
async def test_a_job_may_end_before_its_cancel_comes(near):
    near.worker.admit(1, 0, row(Status.EXECUTING))
    near.worker.cancels.then = lambda: near.worker.admit(1, 0, row(Status.DONE))
    await near.call("POST", "/job/1-0/cancel", 409)


@pytest.mark.asyncio
async def test_canceling_twice_is_no_fault(near):
    near.worker.admit(1, 0, row(Status.CANCELED))
    await near.call("POST", "/job/1-0/cancel", 200)
    assert near.worker.cancels.seen == []


@pytest.mark.asyncio
async def test_cancel_when_it_cannot_be(near):
    await near.call("POST", "/job/1-0/cancel", 404)
    await near.call("POST", "/job/9-0/cancel", 404)
    await near.call("POST", "/job/x/cancel", 400)
    near.worker.admit(1, 0, row(Status.WAITING))
    near.worker.cancels.fails = NotWritten("Kafka didn't acknowledge")
    await near.call("POST", "/job/1-0/cancel", 503)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"[]", 400, None),
        (b"{", 400, None),
        (b"\xff", 400, None),
        (b'{"why": 5}', 422, "why"),
        (b'{"why": "%s"}' % (b"x" * 501), 422, "why"),
        (b'{"why": "\xff"}', 400, None),
    ],
)
async def test_the_body_of_a_cancel_is_checked(near, body, status, field):
    near.worker.admit(1, 0, row(Status.WAITING))
    told = await near.call("POST", "/job/1-0/cancel", status, data=body)
    assert told.get("field") == field
    assert near.worker.cancels.seen == []
