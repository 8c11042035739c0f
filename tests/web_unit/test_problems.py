"""Everything that goes wrong on the way is a problem document, by a real server."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from faust.web.exceptions import NotFound as FaustNotFound

from web.headers import on_prepare
from web.problems import Unavailable, Unprocessable, as_problems

RAISED = {
    "field": Unprocessable("ttl: too large", field="ttl", id="3-1042"),
    "later": Unavailable("try again"),
    "faust": FaustNotFound("not here"),
    "slow": TimeoutError(),
    "bug": ZeroDivisionError("secret"),
    "odd": Unprocessable("\udcff", field="data"),
}

Client = TestClient[web.Request, web.Application]


async def fault(request: web.Request) -> web.Response:
    raise RAISED[request.match_info["name"]]


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application(middlewares=[as_problems], client_max_size=100)
    app.on_response_prepare.append(on_prepare)
    app.router.add_get("/raise/{name}", fault)
    app.router.add_post("/echo", echo)
    async with TestClient(TestServer(app)) as made:
        yield made


async def problem(client: Client, method: str, path: str, status: int, **options):
    async with client.request(method, path, **options) as reply:
        assert reply.status == status
        assert reply.content_type == "application/problem+json"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        body = await reply.json(content_type=None)
        assert body["type"] == "about:blank"
        assert body["status"] == status
        assert body["title"]
        return body, reply.headers


@pytest.mark.asyncio
async def test_what_a_view_raises(client):
    body, _ = await problem(client, "GET", "/raise/field", 422)
    assert body["detail"] == "ttl: too large"
    assert (body["field"], body["id"], body["instance"]) == ("ttl", "3-1042", "/raise/field")
    body, headers = await problem(client, "GET", "/raise/later", 503)
    assert headers["Retry-After"] == "1"
    assert "field" not in body
    await problem(client, "GET", "/raise/odd", 422)


@pytest.mark.asyncio
async def test_faults_of_others(client):
    body, _ = await problem(client, "GET", "/raise/faust", 404)
    assert body["detail"] == "not here"
    _, headers = await problem(client, "GET", "/raise/slow", 503)
    assert headers["Retry-After"] == "1"


@pytest.mark.asyncio
async def test_a_bug_is_logged_and_not_told(client, caplog):
    with caplog.at_level(logging.ERROR):
        body, _ = await problem(client, "GET", "/raise/bug", 500)
    assert "secret" not in str(body)
    assert "ZeroDivisionError: secret" in caplog.text


@pytest.mark.asyncio
async def test_what_aiohttp_refuses(client):
    await problem(client, "GET", "/nothing", 404)
    body, headers = await problem(client, "GET", "/echo", 405)
    assert headers["Allow"] == "POST"
    assert "use POST" in body["detail"]
    body, _ = await problem(client, "POST", "/echo", 413, data=b"x" * 101)
    assert "100 bytes" in body["detail"]
    await problem(client, "POST", "/echo", 400, data=b"{}", headers={"Content-Encoding": "gzip"})


@pytest.mark.asyncio
async def test_head_has_no_body(client):
    async with client.head("/raise/later") as reply:
        assert reply.status == 503
        assert await reply.read() == b""


@pytest.mark.asyncio
async def test_good_answers_pass(client):
    async with client.post("/echo", data=b"x" * 100) as reply:
        assert (reply.status, await reply.read()) == (200, b"x" * 100)
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
