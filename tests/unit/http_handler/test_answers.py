"""What answers count as, and what they become."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest
from aiohttp import web

from handlers.http import (
    MAX_BODY_BYTES,
    retry_after_s,
)
from jobs import Discard, Retry
from tests.unit.http_handler.serving import (
    Server,
    answering,
    decoded,
    run,
)

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)

pytestmark = pytest.mark.timeout(30)


# What answers count as


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_2xx_is_done(server: Server, status: int) -> None:
    server.answer = answering(status)
    assert (await run(url=server.url))["status"] == status


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_some_are_worth_a_rerun(server: Server, status: int) -> None:
    server.answer = answering(status, "try\n again")
    with pytest.raises(Retry, match=f"^POST {server.url}/ answered {status}: try again$") as caught:
        await run(url=server.url + "/?key=hidden")
    assert caught.value.delay_ns is None


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [301, 302, 304, 307, 400, 401, 403, 404, 409, 410, 422])
async def test_all_else_fails_at_once(server: Server, status: int) -> None:
    server.answer = answering(status, Location="http://127.0.0.1:1/")
    with pytest.raises(Discard, match=f"^POST {server.url} answered {status}"):
        await run(url=server.url)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("lists", "verdicts"),
    [
        ({}, {200: "done", 302: "failed", 404: "failed", 429: "rerun", 500: "rerun"}),
        ({"done": ["200"]}, {200: "done", 201: "failed", 500: "rerun"}),
        ({"done": [200, "4xx"]}, {200: "done", 404: "done", 429: "done", 500: "rerun"}),
        ({"failed": ["4xx"]}, {200: "done", 429: "failed", 404: "failed", 503: "rerun"}),
        ({"failed": ["503"]}, {503: "failed", 500: "rerun"}),
        ({"failed": [204], "done": ["2XX"]}, {204: "failed", 200: "done"}),
        ({"rerun": ["404"]}, {404: "rerun", 500: "failed", 200: "done"}),
        ({"rerun": []}, {500: "failed", 429: "failed"}),
        ({"rerun": ["2xx"]}, {200: "rerun"}),
        ({"done": ["5xx"], "rerun": ["503"]}, {503: "rerun", 500: "done", 200: "failed"}),
    ],
)
def test_lists_of_answers(lists: dict[str, Any], verdicts: dict[int, str]) -> None:
    call = decoded(url="http://example.com", **lists)
    assert {status: call.verdict(status) for status in verdicts} == verdicts


@pytest.mark.asyncio
async def test_retry_after_is_respected(server: Server) -> None:
    server.answer = answering(503, Retry_After="7")
    with pytest.raises(Retry) as caught:
        await run(url=server.url)
    assert caught.value.delay_ns == 7_000_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("3601", 3600.0),
        ("999999999999", 3600.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), 3600.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), None),
        ("0", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("1000000000000", 3600.0),
        ("9" * 400, 3600.0),
        ("0" * 400, None),
        ("soon", None),
        ("Wed, 99 Nov 2026 12:00:00 GMT", None),
        ("Wed, 25 Nov 99999 12:00:00 GMT", None),
        ("", None),
    ],
)
def test_retry_after_forms(text: str, seconds: float | None) -> None:
    assert retry_after_s(text, NOW) == seconds


@pytest.mark.asyncio
async def test_no_connection_is_worth_a_rerun() -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x"
        with pytest.raises(Retry, match=re.escape(f"POST {url}: ClientConnectorError")):
            await run(url=url)


@pytest.mark.asyncio
async def test_a_name_that_does_not_resolve_is_worth_a_rerun() -> None:
    with pytest.raises(Retry, match=r"nowhere\.invalid"):
        await run(url="http://nowhere.invalid/")


@pytest.mark.asyncio
@pytest.mark.parametrize("said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_a_server_that_speaks_no_http_is_worth_a_rerun(said: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(Retry):
            await run(url=f"http://127.0.0.1:{port}/")


# Results


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "content", "body"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("application/problem+json; charset=utf-8", b"[]", []),
        ("application/json", b"{", "{"),
        ("application/json", b"", ""),
        ("application/json", b"1e999", "1e999"),
        ("application/json", b"[" * 300 + b"]" * 300, "[" * 300 + "]" * 300),
        ("application/json", b"[" * 90_000, "[" * 90_000),
        ("application/json", b'"\xff"', '"�"'),
        ("text/plain", b'{"a": 1}', '{"a": 1}'),
        ("text/plain; charset=iso-8859-1", b"\xfc", "ü"),
        ("text/plain; charset=utf-7", b"+2AA-", "+2AA-"),
        ("application/octet-stream", b"\xff\x00", "�\x00"),
    ],
)
async def test_what_an_answer_becomes(server: Server, kind: str, content: bytes, body: Any) -> None:
    server.answer = lambda request, _: web.Response(body=content, headers={"Content-Type": kind})
    result = await run(url=server.url)
    assert result["body"] == body
    assert "note" not in result
    assert msgspec.json.encode(result)


@pytest.mark.asyncio
async def test_a_long_answer_is_cut_and_says_so(server: Server) -> None:
    server.answer = lambda request, _: web.json_response(["x" * MAX_BODY_BYTES])
    result = await run(url=server.url)
    assert len(result["body"]) == MAX_BODY_BYTES
    assert "longer than 100000 bytes" in result["note"]


@pytest.mark.asyncio
async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    gone = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"x" * 10_000)
                await writer.drain()
        gone.set()

    async with await asyncio.start_server(endless, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        result = await run(url=f"http://127.0.0.1:{port}/")
        assert result["body"] == "x" * MAX_BODY_BYTES
        await asyncio.wait_for(gone.wait(), 10)


@pytest.mark.asyncio
async def test_a_body_that_is_compressed_all_the_same_is_left_out(server: Server) -> None:
    server.answer = lambda request, _: web.Response(
        body=b"\x1f\x8b...", headers={"Content-Encoding": "gzip"}
    )
    result = await run(url=server.url)
    assert server.requests[0][0].headers["Accept-Encoding"] == "identity"
    assert result["body"] is None
    assert "came as gzip" in result["note"]


@pytest.mark.asyncio
async def test_headers_that_are_no_text_do_no_harm() -> None:
    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nETag: \xff\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(odd, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        result = await run(url=f"http://127.0.0.1:{port}/")
    assert msgspec.json.encode(result)
    assert result["headers"]["ETag"] == "?"
