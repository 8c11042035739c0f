"""Where it doesn't go, by itself or by a redirect."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any

import pytest
from aiohttp import web

from handlers.http import (
    HttpClient,
    HttpSettings,
    signature,
)
from jobs import Context, Discard, Retry
from jobs.errors import InvalidRequest
from jobs.model import JobId
from tests.unit.http_handler.serving import (
    SECRET,
    Server,
    answering,
    decoded,
    run,
    serving,
)

pytestmark = pytest.mark.timeout(30)


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
