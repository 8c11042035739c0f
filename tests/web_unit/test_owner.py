"""Forwarding, between real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestClient, TestServer
from aiokafka.errors import KafkaError
from yarl import URL

from log.reader import Record
from tables.fold import Fence
from tests.web_unit.fakes import ME, NAMES, Log, Worker, decoded
from web.owner import FORWARDED, USER, Peers
from web.problems import as_problems
from web.tokens import COOKIE, Tokens

Client = TestClient[web.Request, web.Application]


async def owner_answers(request: web.Request) -> web.Response:
    """The owner: tells what it was asked."""
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "headers": {k.lower(): v for k, v in request.headers.items()},
            "body": (await request.read()).decode(),
        },
        status=418,
        headers={"X-More": "yes", "Location": "/job/1-0/status"},
    )


class Pair:
    """A worker that was asked, and the owner of partition 1."""

    def __init__(self, worker: Worker, client: Client, owner: BaseTestServer, peers: Peers) -> None:
        self.peers = peers
        self.worker, self.client, self.owner = worker, client, owner

    def owns(self, url: str | None, partition: int = 1) -> None:
        self.worker.metadata.clear()
        if url is not None:
            self.worker.metadata[url] = {NAMES.changelog: [partition], "jobs": [7]}


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        far = web.Application()
        far.router.add_route("*", "/{any:.*}", owner_answers)
        owner = await stack.enter_async_context(TestServer(far))
        worker = Worker(Log({}), {0: {}})
        peers = Peers(worker.owners)
        stack.push_async_callback(peers.close)

        async def asked(request: web.Request) -> web.Response:
            reply = await peers.elsewhere(request, int(request.match_info["partition"]))
            return web.Response(text="here") if reply is None else reply

        near = web.Application(middlewares=[as_problems])
        near.router.add_route("*", "/job/{partition}/{any}", asked)
        client: Client = await stack.enter_async_context(TestClient(TestServer(near)))
        made = Pair(worker, client, owner, peers)
        made.owns(str(owner.make_url("")))
        yield made


async def unavailable(pair: Pair, **options) -> str:
    async with pair.client.get("/job/1/status", **options) as reply:
        assert reply.status == 503
        assert reply.headers["Retry-After"] == "1"
        body = await reply.json(content_type=None)
        detail: str = body["detail"]
        return detail


@pytest.mark.asyncio
async def test_what_is_ours_is_answered_here(pair):
    async with pair.client.get("/job/0/status") as reply:
        assert await reply.text() == "here"


@pytest.mark.asyncio
async def test_method_path_query_body_and_headers_go_there_and_the_answer_comes_back(pair):
    async with pair.client.post(
        URL("/job/1/cancel?a=%20b&c=%2F", encoded=True),
        data=b'{"why": "x"}',
        headers={
            "Authorization": "Bearer t",
            "X-Mine": "1",
            "X-Hop": "2",
            "Connection": "X-Hop",
            "Content-Type": "application/json",
        },
    ) as reply:
        assert reply.status == 418
        assert reply.headers["X-More"] == "yes"
        assert reply.headers["Location"] == "/job/1-0/status"
        assert reply.headers.getall("Content-Type") == ["application/json; charset=utf-8"]
        told = await reply.json()
    assert told["method"] == "POST"
    assert told["path"] == "/job/1/cancel?a=%20b&c=%2F"
    assert told["body"] == '{"why": "x"}'
    headers = told["headers"]
    assert headers["authorization"] == "Bearer t"
    assert headers["x-mine"] == "1"
    assert headers["content-type"] == "application/json"
    assert headers["host"] == f"{pair.owner.host}:{pair.owner.port}"
    assert headers[FORWARDED.lower()] == "1"
    assert headers[USER.lower()] == "127.0.0.1"
    assert "x-hop" not in headers


@pytest.mark.asyncio
async def test_what_a_client_brings_becomes_a_session_of_the_worker(pair):
    """Neither its token nor its cookie goes on."""
    pair.peers.tokens = tokens = Tokens(["0123456789abcdef", "of-the-client-01"])
    browser = {
        "Cookie": f"{COOKIE}={tokens.session()}; other=1",
        "Origin": "http://me",
        "Sec-Fetch-Site": "same-origin",
        "Referer": "http://me/",
    }
    for headers in (browser, {"Authorization": "Bearer of-the-client-01"}):
        async with pair.client.post("/job/1/cancel", headers=headers) as reply:
            told = (await reply.json())["headers"]
        name, _, session = told.pop("cookie").partition("=")
        assert name == COOKIE
        assert f"{name}={session}" not in headers.values()
        assert tokens.session_known(session)
        assert Tokens(["0123456789abcdef"]).session_known(session), "a worker that has the old one"
        assert not Tokens(["of-the-client-01"]).session_known(session)
        assert not {name.lower() for name in headers} & set(told)


@pytest.mark.asyncio
async def test_head_has_the_headers_of_get(pair):
    async with pair.client.head("/job/1/status") as reply:
        assert reply.status == 418
        assert int(reply.headers["Content-Length"]) > 0
        assert await reply.read() == b""


@pytest.mark.asyncio
async def test_never_twice(pair):
    assert "not served by this worker" in await unavailable(pair, headers={FORWARDED: "1"})


@pytest.mark.asyncio
async def test_an_owner_that_is_away_is_named(pair):
    pair.owns("http://127.0.0.1:9")
    assert "http://127.0.0.1:9 owns partition 1" in await unavailable(pair)


@pytest.mark.asyncio
async def test_nobody_owns_it(pair):
    pair.owns(None)
    assert "no worker is known" in await unavailable(pair)


@pytest.mark.asyncio
async def test_we_own_it_and_are_recovering(pair):
    pair.owns(ME)
    assert "is recovering partition 1" in await unavailable(pair)


@pytest.mark.asyncio
async def test_a_path_does_not_lead_to_another_host(pair):
    async with pair.client.get(URL("/job/1/x%2F..%2F@elsewhere:1", encoded=True)) as reply:
        told = decoded(await reply.read())
    assert told["path"] == "/job/1/x%2F..%2F@elsewhere:1"
    assert told["headers"]["host"] == f"{pair.owner.host}:{pair.owner.port}"


OTHERS = Fence(2, "other")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("rebalancing", "fences", "answer"),
    [
        (True, [OTHERS], 503),
        (True, [Fence(1, "me"), OTHERS], 503),
        (True, [Fence(1, "me")], 200),
        (True, [Fence(0, "before")], 200),
        (True, [], 200),
        (False, [OTHERS], 200),
    ],
)
async def test_a_partition_that_another_one_has_taken_is_not_answered_for(
    pair: Pair, rebalancing: bool, fences: list[Fence], answer: int
) -> None:
    """The news that it has may come later than its first rows."""
    pair.worker.app.rebalancing = rebalancing
    pair.worker.log.changelog[0] = [
        Record(n, 1, b"0-1", b"{}", fence.headers()) for n, fence in enumerate(fences)
    ]
    reply = await pair.client.get("/job/0/status")
    assert reply.status == answer
    if answer == 503:
        told = await reply.json(content_type=None)
        assert "partition 0 is changing its owner" in told["detail"]


@pytest.mark.asyncio
async def test_while_partitions_change_hands_it_must_be_known_who_owns_them(pair: Pair) -> None:
    pair.worker.app.rebalancing = True
    pair.worker.log.fails = KafkaError()
    assert (await pair.client.get("/job/0/status")).status == 503
