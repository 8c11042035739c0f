"""What is sent, and its signature."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from handlers.http import (
    HttpCall,
    HttpClient,
    HttpSettings,
    signature,
)
from jobs import Context
from jobs.model import JobId
from tests.unit.http_handler.serving import (
    LOOPBACK,
    SECRET,
    Server,
    answering,
    decoded,
    run,
)

DOCS = (Path(__file__).parents[3] / "docs/handlers-http.md").read_text()

pytestmark = pytest.mark.timeout(30)


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
