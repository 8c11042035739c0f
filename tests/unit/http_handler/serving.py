"""A real server on loopback, and one attempt of the handler ``http`` against it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from aiohttp import web

from handlers import http as module
from handlers.http import (
    HttpCall,
    HttpClient,
    HttpSettings,
)
from jobs import Context, Resources
from jobs.model import JobId
from jobs.registry import HANDLERS

SECRET = "a secret of some length"
LOOPBACK = HttpSettings.of({"JOBS_HTTP_ALLOW": "127.0.0.0/8"})


def decoded(**data: Any) -> HttpCall:
    """Data as a job brings it."""
    found = HANDLERS.get("http")
    assert found is not None
    call = found.check(msgspec.Raw(json.dumps(data).encode()))
    assert isinstance(call, HttpCall)
    return call


async def run(settings: HttpSettings = LOOPBACK, attempt: int = 1, **data: Any) -> Any:
    """One attempt with a client of its own."""
    client = HttpClient(settings)
    resources = Resources()
    resources.put(client)
    context = Context(
        job_id=JobId(3, 42),
        attempt=attempt,
        max_attempts=3,
        resources=resources,
        **_rehearsal(data),
    )
    try:
        return await module.http(context, decoded(**data))
    finally:
        await client.close()


def _rehearsal(data: dict[str, Any]) -> dict[str, Any]:
    return {"rehearsal": data.pop("rehearsal")} if "rehearsal" in data else {}


Answer = Callable[[web.BaseRequest, bytes], web.StreamResponse]


class Server:
    """A real server on loopback; what it answers is set by the test."""

    def __init__(self) -> None:
        self.requests: list[tuple[web.BaseRequest, bytes]] = []
        self.answer: Answer = lambda request, body: web.json_response({"ok": True})
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request, body))
        return self.answer(request, body)


@contextlib.asynccontextmanager
async def serving(host: str = "127.0.0.1") -> AsyncIterator[Server]:
    server = Server()
    runner = web.ServerRunner(web.Server(server.handle))
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


def answering(status: int, text: str = "", **headers: str) -> Answer:
    return lambda request, body: web.Response(
        status=status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
