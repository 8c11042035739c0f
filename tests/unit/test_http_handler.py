"""The handler ``http``: what it sends, how it judges answers, and where it doesn't go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from handlers import http as module
from handlers.http import (
    MAX_BODY_BYTES,
    HttpCall,
    HttpClient,
    HttpSettings,
    HttpSettingsError,
    retry_after_s,
    signature,
)
from jobs import Context, Discard, Resources, Retry
from jobs.errors import InvalidRequest
from jobs.model import JobId
from jobs.registry import HANDLERS

DOCS = (Path(__file__).parents[2] / "docs/handlers-http.md").read_text()
SECRET = "a secret of some length"
LOOPBACK = HttpSettings.of({"JOBS_HTTP_ALLOW": "127.0.0.0/8"})
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)

pytestmark = pytest.mark.timeout(30)


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


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as started:
        yield started


def answering(status: int, text: str = "", **headers: str) -> Answer:
    return lambda request, body: web.Response(
        status=status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


# What is sent


@pytest.mark.asyncio
async def test_a_call_sends_data_as_json_and_says_which_job_it_is(server: Server) -> None:
    result = await run(
        url=f"{server.url}/path?q=1", body={"a": [1, "ü"]}, headers={"X-Key": "k"}, attempt=2
    )
    ((request, body),) = server.requests
    assert (request.method, request.path_qs) == ("POST", "/path?q=1")
    assert json.loads(body) == {"a": [1, "ü"]}
    sent = request.headers
    assert sent["Content-Type"] == "application/json"
    assert (sent["X-Job-Id"], sent["X-Job-Attempt"]) == ("3-42", "2")
    context = Context(job_id=JobId(3, 42), attempt=2, max_attempts=3)
    assert (sent["Idempotency-Key"], sent["User-Agent"]) == (context.key, "jobs-on-kafka")
    assert sent.getall("Idempotency-Key") == [context.key]
    assert sent["X-Key"] == "k"
    assert "X-Job-Signature" not in sent
    assert result["status"] == 200
    assert result["body"] == {"ok": True}
    assert set(result["headers"]) == {"Content-Type", "Date"}


@pytest.mark.parametrize("name", ["X-Jobs", "X-Job", "Jobs-Id", "X-Hub-Signature", "My_Header"])
def test_headers_that_a_job_may_set(name: str) -> None:
    assert decoded(url="http://example.com", headers={name: "a"}).headers == {name: "a"}


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_methods_and_no_body(server: Server, method: str) -> None:
    await run(url=server.url, method=method)
    ((request, body),) = server.requests
    assert (request.method, body) == (method, b"")
    assert "application/json" not in request.headers.get("Content-Type", "")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("headers", "body", "sent"),
    [
        ({}, "text", b'"text"'),
        ({}, None, b"null"),
        ({}, 0, b"0"),
        ({"content-type": "text/plain"}, "text ü", "text ü".encode()),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "a=1&b=2", b"a=1&b=2"),
        ({"Content-Type": "application/vnd.api+json; x=y"}, {"a": 1}, b'{"a": 1}'),
    ],
)
async def test_bodies(server: Server, headers: dict[str, str], body: Any, sent: bytes) -> None:
    await run(url=server.url, headers=headers, body=body)
    ((request, got),) = server.requests
    assert got == sent
    expected = next(iter(headers.values()), "application/json")
    assert request.headers.getall("Content-Type") == [expected]


@pytest.mark.asyncio
async def test_numbers_are_sent_as_they_were_written(server: Server) -> None:
    call = msgspec.json.decode(
        f'{{"url": "{server.url}", "body": [1.10, 9007199254740993]}}'.encode(), type=HttpCall
    )
    assert call.body_bytes == b"[1.10, 9007199254740993]"


@pytest.mark.asyncio
async def test_a_rehearsal_calls_nobody(server: Server) -> None:
    result = await run(url=server.url, rehearsal=True)
    assert "rehearsal" in result["note"]
    assert server.requests == []


@pytest.mark.asyncio
async def test_cookies_are_not_kept_from_job_to_job(server: Server) -> None:
    server.answer = answering(200, Set_Cookie="login=1; Path=/")
    client = HttpClient(LOOPBACK)
    context = Context(job_id=JobId(0, 1), attempt=1, max_attempts=1)
    try:
        for _ in range(2):
            await client.call(context, decoded(url=server.url))
    finally:
        await client.close()
    assert ["Cookie" in request.headers for request, _ in server.requests] == [False, False]


@pytest.mark.asyncio
async def test_a_proxy_of_the_environment_is_not_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert (await run(url=server.url))["status"] == 200


# The signature


@pytest.mark.asyncio
async def test_the_signature_is_as_documented(server: Server) -> None:
    settings = HttpSettings.of(
        {"JOBS_HTTP_ALLOW": "127.0.0.1", "JOBS_HTTP_SECRET": f"{SECRET},an older secret as well"}
    )
    await run(settings, url=server.url, body={"a": 1}, attempt=2)
    ((request, body),) = server.requests
    (example,) = re.findall(r"```python\n(.*?)```", DOCS, re.S)
    there: dict[str, Any] = {}
    exec(example, there)  # noqa: S102 - our own docs, which users will copy
    headers, verify = dict(request.headers), there["trusted"]
    assert verify(["another secret that fits", SECRET], headers, body)
    assert not verify([SECRET], headers, body + b" ")
    assert not verify(["another secret that fits"], headers, body)
    assert not verify([SECRET], {**headers, "X-Job-Id": "3-43"}, body)
    assert not verify([SECRET], {**headers, "X-Job-Attempt": "1"}, body)
    old = signature(SECRET, 1_000_000_000, "3-42", 2, body)
    assert not verify([SECRET], {**headers, "X-Job-Signature": old}, body)
    assert not verify([SECRET], {**headers, "X-Job-Signature": "nonsense"}, body)


@pytest.mark.asyncio
async def test_the_trace_goes_on_unless_the_job_has_its_own(server: Server) -> None:
    ours, own = (f"00-{'a' * 32}-{digit * 16}-01" for digit in "bc")
    context = Context(job_id=JobId(3, 42), attempt=1, max_attempts=3, traceparent=ours)
    client = HttpClient(LOOPBACK)
    try:
        for headers in ({}, {"Traceparent": own}):
            await client.call(context, decoded(url=server.url, headers=headers))
    finally:
        await client.close()
    sent = [request.headers.getall("traceparent") for request, _ in server.requests]
    assert sent == [[ours], [own]]


def test_a_signature_that_stays_as_it_is() -> None:
    assert signature("0123456789abcdef", 1_700_000_000, "3-42", 1, b'{"a":1}') == (
        "t=1700000000,v1=fb516bff6c240ddd946e857c17b0a8c1247a433eb3c1fecd4d00b7c09cb1af6a"
    )


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


# Data that is refused before it runs


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({}, "missing required field url"),
        ({"url": 1}, "data.url: expected str"),
        ({"url": ""}, "url must be http"),
        ({"url": "example.com/x"}, "url must be http"),
        ({"url": "ftp://example.com/"}, "url must be http"),
        ({"url": "file:///etc/passwd"}, "url must be http"),
        ({"url": "gopher://example.com:70/"}, "url must be http"),
        ({"url": "unix:///var/run/docker.sock"}, "url must be http"),
        ({"url": "http+unix://x/y"}, "url must be http"),
        ({"url": "http://"}, "url must be http"),
        ({"url": "http:///x"}, "url must be http"),
        ({"url": "http://a:0/"}, "url must be http"),
        ({"url": "http://a:99999/"}, "url can't be read"),
        ({"url": "http://[::1/"}, "url can't be read"),
        ({"url": "http://user:pass@example.com/"}, "user or password"),
        ({"url": "http://example.com@127.0.0.1/"}, "user or password"),
        ({"url": "http://a b/"}, "spaces or control"),
        ({"url": " http://a/"}, "spaces or control"),
        ({"url": "http://a/\r\nX: y"}, "spaces or control"),
        ({"url": "http://example.com\\@127.0.0.1/"}, "spaces or control"),
        ({"url": "http://a/" + "x" * 9000}, "8000"),
        ({"method": "TRACE"}, "data.method: invalid enum value 'TRACE'"),
        ({"method": "post"}, "data.method: invalid enum value 'post'"),
        ({"methods": "GET"}, "unknown field methods"),
        ({"headers": {"X": 1}}, "data.headers"),
        ({"headers": {"X": "a\r\nY: b"}}, "line break"),
        ({"headers": {"X": "a\nb"}}, "line break"),
        ({"headers": {"X": "a\rb"}}, "line break"),
        ({"headers": {"X": "a\0b"}}, "line break"),
        ({"headers": {"X\r\nY": "a"}}, "is no name"),
        ({"headers": {"X Y": "a"}}, "is no name"),
        ({"headers": {"": "a"}}, "is no name"),
        ({"headers": {"X:": "a"}}, "is no name"),
        ({"headers": {"ü": "a"}}, "is no name"),
        ({"headers": {"X": "a", "x": "b"}}, "twice"),
        ({"headers": {"Host": "other"}}, "set by the worker"),
        ({"headers": {"hOsT": "other"}}, "set by the worker"),
        ({"headers": {"Connection": "close"}}, "set by the worker"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "set by the worker"),
        ({"headers": {"Content-Length": "0"}}, "set by the worker"),
        ({"headers": {"Upgrade": "h2c"}}, "set by the worker"),
        ({"headers": {"X-Job-Signature": "t=1,v1=0"}}, "set by the worker"),
        ({"headers": {"x-job-id": "0-0"}}, "set by the worker"),
        ({"headers": {"X-Job-Foo": "a"}}, "X-Job-Foo is set by the worker"),
        ({"headers": {"X-Job_Id": "0-0"}}, "X-Job_Id is set by the worker"),
        ({"headers": {"x_job_signature": "t=1,v1=0"}}, "set by the worker"),
        ({"headers": {"X.Job.Id": "0-0"}}, "set by the worker"),
        ({"headers": {"Idempotency-Key": "a"}}, "Idempotency-Key is set by the worker"),
        ({"headers": {"IDEMPOTENCY_KEY": "a"}}, "set by the worker"),
        ({"headers": {"Transfer_Encoding": "chunked"}}, "set by the worker"),
        ({"done": ["20x"]}, "'20x' is no status"),
        ({"rerun": [600]}, "'600' is no status"),
        ({"failed": [True]}, "data.failed"),
        ({"done": ["404"], "failed": [404]}, "404 stands twice"),
        ({"headers": {"Content-Type": "text/plain"}, "body": {"a": 1}}, "must be a string"),
    ],
)
def test_wrong_data_is_told(data: dict[str, Any], error: str) -> None:
    if data and "url" not in data:
        data = {"url": "http://example.com", **data}
    with pytest.raises(InvalidRequest, match=r"^data") as caught:
        decoded(**data)
    assert error in str(caught.value)


# Where it doesn't go

INSIDE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2606:4700:4700::1111",
    "2a00:1450::1",
]


def test_what_is_inside_and_what_is_public() -> None:
    settings = HttpSettings()
    assert [each for each in INSIDE if settings.permits("name", each)] == []
    assert [each for each in PUBLIC if not settings.permits("name", each)] == []


@pytest.mark.parametrize("odd", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "", "localhost"])
def test_an_address_that_is_none_is_refused(odd: str) -> None:
    assert not HttpSettings().permits("name", odd)


def test_what_is_allowed() -> None:
    settings = HttpSettings.of({"JOBS_HTTP_ALLOW": "10.1.0.0/16, ::1, Intern.Example., 127.0.0.1"})
    assert settings.permits("x", "10.1.2.3")
    assert settings.permits("x", "::ffff:10.1.2.3")
    assert settings.permits("x", "64:ff9b::10.1.2.3")
    assert not settings.permits("x", "10.2.0.1")
    assert settings.permits("x", "::1")
    assert settings.permits("intern.example", "192.168.0.1")
    assert settings.permits("INTERN.example.", "192.168.0.1")
    assert not settings.permits("other.intern.example", "192.168.0.1")
    assert settings.permits("x", "8.8.8.8"), "it opens, and closes nothing"


def hosts(port: int) -> list[str]:
    """Ways to write this machine."""
    return [
        f"{host}:{port}"
        for host in (
            "127.0.0.1",
            "localhost",
            "LOCALHOST.",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0x7f.1",
            "017700000001",
            "0177.0.0.1",
            "127.000.000.001",
            "127.0.0.1.",
            "１２７.０.０.１",
            "①②⑦.0.0.1",
            "127。0。0。1",
            "%31%32%37.0.0.1",
            "0.0.0.0",
            "0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:ffff:7f00:0001]",
            "[::127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[::1%25lo]",
        )
    ]


@pytest.mark.asyncio
async def test_this_machine_is_not_reached_however_it_is_written(server: Server) -> None:
    for host in hosts(server.port):
        with pytest.raises((Discard, Retry, InvalidRequest)) as caught:
            await run(HttpSettings(), url=f"http://{host}/")
        # A name that nobody can resolve is an ordinary failure; all else is refused for good.
        assert caught.type is not Retry or "DNS" in str(caught.value), (host, caught.value)
    assert server.requests == []


@pytest.mark.asyncio
async def test_the_error_says_what_to_do() -> None:
    with pytest.raises(Discard) as caught:
        await run(HttpSettings(), method="GET", url="http://169.254.169.254/latest/meta-data?k=1")
    assert str(caught.value) == (
        "GET http://169.254.169.254/latest/meta-data: jobs may not reach 169.254.169.254: its "
        "address is private, loopback, link-local or otherwise not public. To allow it, name it "
        "in JOBS_HTTP_ALLOW of the workers"
    )


class Names:
    """DNS that a stranger controls: each question gets the next answer."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (
                socket.AF_INET6 if ":" in each else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (each, port, 0, 0) if ":" in each else (each, port),
            )
            for each in answer
        ]


def named(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> Names:
    names = Names(*answers)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names, raising=False)
    return names


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "answer", [["127.0.0.1"], ["::ffff:127.0.0.1"], ["127.0.0.1", "::1"], ["10.0.0.1", "::1"]]
)
async def test_a_name_that_leads_inside_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, answer: list[str]
) -> None:
    names = named(monkeypatch, answer)
    with pytest.raises(Discard, match=r"jobs may not reach evil\.example"):
        await run(HttpSettings(), url=f"http://evil.example:{server.port}/")
    assert names.asked == ["evil.example"]
    assert server.requests == []


@pytest.mark.asyncio
async def test_a_name_that_changes_its_mind_gains_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: whatever any question is answered with, each socket's address is looked at."""
    names = named(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
    settings = HttpSettings.of({"JOBS_HTTP_ALLOW": "127.0.0.2"})
    client = HttpClient(settings)
    context = Context(job_id=JobId(0, 1), attempt=1, max_attempts=1)
    call = decoded(url=f"http://evil.example:{server.port}/")
    try:
        with pytest.raises(Retry):  # allowed, but nobody listens there
            await client.call(context, call)
        client._connector.clear_dns_cache()
        with pytest.raises(Discard):
            await client.call(context, call)
    finally:
        await client.close()
    assert names.asked == ["evil.example"] * 2
    assert server.requests == []


@pytest.mark.asyncio
async def test_of_several_addresses_those_that_are_allowed_are_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(monkeypatch, ["::1", "10.0.0.1", "127.0.0.1"])
    assert (await run(url=f"http://some.example:{server.port}/"))["status"] == 200
    assert server.requests[0][0].headers["Host"] == f"some.example:{server.port}"


@pytest.mark.asyncio
async def test_an_allowed_name_allows_itself_only(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = HttpSettings.of({"JOBS_HTTP_ALLOW": "good.example"})
    named(monkeypatch, ["127.0.0.1"])
    assert (await run(settings, url=f"http://good.example:{server.port}/"))["status"] == 200
    with pytest.raises(Discard):
        await run(settings, url=f"http://evil.example:{server.port}/")
    with pytest.raises(Discard):
        await run(settings, url=f"http://{server.url[7:]}/")
    assert len(server.requests) == 1


# Redirects

FOLLOWING = HttpSettings.of(
    {"JOBS_HTTP_ALLOW": "127.0.0.1", "JOBS_HTTP_REDIRECTS": "1", "JOBS_HTTP_SECRET": SECRET}
)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (302, "PUT", "PUT"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
    ],
)
async def test_redirects_where_they_are_on(
    server: Server, status: int, method: str, then: str
) -> None:
    def answer(request: web.BaseRequest, _: bytes) -> web.Response:
        if request.path == "/a":
            return web.Response(status=status, headers={"Location": "b?x=1"})
        return web.json_response("arrived")

    server.answer = answer
    headers = {"Authorization": "key"}
    result = await run(FOLLOWING, url=f"{server.url}/a", method=method, body=1, headers=headers)
    assert result["body"] == "arrived"
    (_, _), (request, body) = server.requests
    assert (request.method, request.path_qs) == (then, "/b?x=1")
    assert body == (b"" if then == "GET" else b"1")
    assert request.headers["Authorization"] == "key", "the same origin"
    when = int(re.findall(r"t=(\d+)", request.headers["X-Job-Signature"])[0])
    assert request.headers["X-Job-Signature"] == signature(SECRET, when, "3-42", 1, body)


@pytest.mark.asyncio
async def test_another_origin_gets_no_keys(server: Server) -> None:
    async with serving() as other:
        server.answer = answering(307, Location=f"{other.url}/b")
        headers = {"Authorization": "key", "X-Api-Key": "key", "Content-Type": "text/plain"}
        await run(FOLLOWING, url=server.url, body="x", headers=headers)
        ((request, body),) = other.requests
    assert body == b"x"
    assert request.headers["Content-Type"] == "text/plain"
    assert request.headers["X-Job-Id"] == "3-42"
    for name in ("Authorization", "X-Api-Key", "X-Job-Signature"):
        assert name in server.requests[0][0].headers
        assert name not in request.headers


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("http://127.0.0.2:{port}/", "may not reach 127.0.0.2"),
        ("http://localhost:{port}/", "more than 5 redirects"),
        ("http://[::1]:{port}/", "may not reach ::1"),
        ("http://[::ffff:127.0.0.2]:{port}/", r"may not reach ::ffff:(7f00:2|127\.0\.0\.2)"),
        ("http://169.254.169.254/", "may not reach 169.254.169.254"),
        ("//169.254.169.254/", "may not reach 169.254.169.254"),
        ("http://2130706434:{port}/", "2130706434"),
        ("file:///etc/passwd", "url must be http"),
        ("ftp://127.0.0.1/", "url must be http"),
        ("http://a:b@127.0.0.1:{port}/", "user or password"),
        ("http://[::1", "can't be read|redirects to"),
        ("/again", "more than 5 redirects"),
    ],
)
async def test_redirects_lead_nowhere_else(server: Server, location: str, error: str) -> None:
    location = location.format(port=server.port)
    server.answer = answering(302, Location=location)
    with pytest.raises(Discard, match=error):
        await run(FOLLOWING, url=server.url)


@pytest.mark.asyncio
async def test_an_answer_that_is_named_in_the_lists_is_not_followed(server: Server) -> None:
    server.answer = answering(302, Location="/again")
    assert (await run(FOLLOWING, url=server.url, done=["302"]))["status"] == 302
    assert len(server.requests) == 1


# Settings


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("JOBS_HTTP_SECRET", "short", "at least 16 characters"),
        ("JOBS_HTTP_SECRET", f"{SECRET},short", "at least 16 characters"),
        ("JOBS_HTTP_REDIRECTS", "yes", "JOBS_HTTP_REDIRECTS='yes': must be 0 or 1"),
        ("JOBS_HTTP_ALLOW", "10.0.0.1/8", "'10.0.0.1/8' is no host name, .* has host bits set"),
        ("JOBS_HTTP_ALLOW", "10.0.0.0/99", "is no host name"),
        ("JOBS_HTTP_ALLOW", "300.0.0.1", "is no host name"),
        ("JOBS_HTTP_ALLOW", "http://a/", "is no host name"),
        ("JOBS_HTTP_ALLOW", "*.example.com", "is no host name"),
        ("JOBS_HTTP_ALLOW", "a:80", "is no host name"),
        ("JOBS_HTTP_ALLOW", "::1::", "is no host name"),
    ],
)
def test_wrong_settings_are_told(name: str, value: str, error: str) -> None:
    with pytest.raises(HttpSettingsError, match=error) as caught:
        HttpSettings.of({name: value})
    assert "short" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_settings_as_they_are_when_nothing_is_set() -> None:
    assert HttpSettings.of({}) == HttpSettings()
    assert HttpSettings.of({"JOBS_HTTP_SECRET": " ", "JOBS_HTTP_REDIRECTS": ""}) == HttpSettings()


def test_a_secret_is_not_shown() -> None:
    assert SECRET not in repr(HttpSettings.of({"JOBS_HTTP_SECRET": SECRET}))


@pytest.mark.asyncio
async def test_the_hooks_open_and_close_it(monkeypatch: pytest.MonkeyPatch) -> None:
    resources = Resources()
    resources.put(await module.open_client())
    await module.close_client(resources)
    monkeypatch.setenv("JOBS_HTTP_REDIRECTS", "2")
    with pytest.raises(HttpSettingsError):
        await module.open_client()


def test_every_setting_is_documented() -> None:
    rows = set(re.findall(r"^\| `(JOBS_HTTP_\w+)` \|", DOCS, re.M))
    code = "".join(each.read_text() for each in Path(module.__file__).parent.glob("*.py"))
    assert rows == set(re.findall(r"JOBS_HTTP_[A-Z]+", code))
