"""Tokens, cookies, other sites and names, as a real server meets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import handlers  # noqa: F401 - registers the one that a job without a handler's name runs
from settings import load
from tests.web_unit.fakes import Log, Worker
from web import api, bodies, login
from web.guard import Guard, Hosts
from web.headers import on_prepare
from web.limits import Bucket, Buckets
from web.problems import TooMany, as_problems
from web.site import SITE, Site
from web.tokens import COOKIE, SESSION_S, Tokens
from web.tries import TRIES, TRIES_PER_S, Tries

TOKEN = "0123456789abcdef-token"
OTHER = "fedcba9876543210-other"
PAGE = {"Accept": "text/html"}
Client = TestClient[web.Request, web.Application]


@asynccontextmanager
async def serving(**environ: str) -> AsyncIterator[Client]:
    """A worker with these settings: guard, log-in, submissions; other paths answer 200."""
    worker = Worker(Log({}), {0: {}}, count=1)
    settings = load(environ)
    worker.parts.settings = settings  # type: ignore[misc] # the fake's are no frozen Parts
    app = web.Application(middlewares=[as_problems, Guard(settings).middleware])
    app.on_response_prepare.append(on_prepare)
    app[SITE] = site = Site.of(worker.app, worker.parts)
    faust: Any = SimpleNamespace(web_app=app)
    views = {name: login.Login(worker.app, faust) for name in ("login",)}
    app.router.add_get("/login", views["login"].get)
    app.router.add_post("/login", views["login"].post)
    app.router.add_post("/logout", login.Logout(worker.app, faust).post)
    app.router.add_post("/job", api.SubmitJob(worker.app, faust).post)
    app.router.add_route("*", "/{any:.*}", ok)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(site.peers.close)
        jar = aiohttp.CookieJar(unsafe=True)  # of an address
        server = TestServer(app)
        yield await stack.enter_async_context(TestClient(server, cookie_jar=jar))


async def ok(request: web.Request) -> web.Response:
    return web.Response(text="in")


@pytest_asyncio.fixture
async def closed() -> AsyncIterator[Client]:
    async with serving(JOBS_API_TOKEN=f"{TOKEN},{OTHER}") as client:
        yield client


async def status(client: Client, method: str, path: str, **options: Any) -> int:
    async with client.request(method, path, allow_redirects=False, **options) as reply:
        return reply.status


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/login", "/assets/page.css"])
async def test_what_is_open(closed, path):
    assert await status(closed, "GET", path) == 200


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/", "/job/all", "/stats", "/nothing", "/assets", "/healthz/x"])
async def test_all_else_asks_for_a_token(closed, path):
    async with closed.get(path) as reply:
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert (await reply.json(content_type=None))["status"] == 401
    for token in (TOKEN, OTHER):
        assert await status(closed, "GET", path, headers=bearer(token)) == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "given",
    [
        "", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN, f"Basic {TOKEN}",
        f"Bearer {TOKEN},{OTHER}", "Bearer ü", f"Bearer {TOKEN} {OTHER}",
    ],
)  # fmt: skip
async def test_a_wrong_token(closed, given):
    assert await status(closed, "GET", "/", headers={"Authorization": given}) == 401
    assert await status(closed, "GET", "/?token=" + TOKEN, headers={"Authorization": given}) == 401


@pytest.mark.asyncio
async def test_the_scheme_is_written_as_one_likes(closed):
    for scheme in ("bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {TOKEN}"}
        assert await status(closed, "GET", "/", headers=headers) == 200


@pytest.mark.asyncio
async def test_a_browser_logs_in_and_out(closed):
    async with closed.get("/", headers=PAGE, allow_redirects=False) as reply:
        assert (reply.status, reply.headers["Location"]) == (303, "/login?next=/")
    assert await status(closed, "GET", "/job/all", headers=PAGE) == 401
    async with closed.post("/login", data={"token": "wrong"}, allow_redirects=False) as reply:
        assert reply.status == 403
        assert "Set-Cookie" not in reply.headers
        assert 'role="alert"' in await reply.text()
    async with closed.post("/login", data={"token": TOKEN}, allow_redirects=False) as reply:
        assert (reply.status, reply.headers["Location"]) == (303, "/")
        cookie = reply.headers["Set-Cookie"]
    assert TOKEN not in cookie
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert await status(closed, "GET", "/", headers=PAGE) == 200
    # A header that is there counts, and a wrong one isn't mended by a cookie.
    assert await status(closed, "GET", "/", headers=bearer("x" * 16)) == 401
    assert await status(closed, "POST", "/logout") == 303
    assert await status(closed, "GET", "/", headers=PAGE) == 303


@pytest.mark.asyncio
async def test_by_https_the_cookie_is_for_https_only(closed):
    async with closed.post(
        "/login", data={"token": TOKEN}, headers={"X-Forwarded-Proto": "https"},
        allow_redirects=False,
    ) as reply:  # fmt: skip
        assert "Secure" in reply.headers["Set-Cookie"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("", "/"), ("?next=/docs", "/docs"), ("?next=/", "/"), ("?next=//evil.example", "/"),
        ("?next=https://evil.example/docs", "/"), ("?next=/job", "/"), ("?next=/docs%0d", "/"),
    ],
)  # fmt: skip
async def test_behind_the_log_in_is_the_page_that_was_wanted(closed, query, page):
    data = {"token": TOKEN}
    async with closed.post("/login" + query, data=data, allow_redirects=False) as reply:
        assert (reply.status, reply.headers["Location"]) == (303, page)
    async with closed.get("/docs", headers=PAGE, allow_redirects=False) as reply:
        assert reply.status == 200


@pytest.mark.asyncio
async def test_tries_to_log_in_are_limited(closed):
    tried = [await status(closed, "POST", "/login", data={"token": f"x{n}"}) for n in range(11)]
    assert tried == [403] * 10 + [429]
    async with closed.post("/login", data={"token": TOKEN}) as reply:
        assert reply.status == 429
        assert 1 <= int(reply.headers["Retry-After"]) <= 6


@pytest.mark.asyncio
async def test_tries_of_tokens_are_limited(closed):
    """Not of those that were right before, nor of one that is wrong again and again."""
    assert await status(closed, "GET", "/stats", headers=bearer(TOKEN)) == 200
    stale = "yesterdays-token"
    assert {await status(closed, "GET", "/", headers=bearer(stale)) for _ in range(30)} == {401}
    tried = [await status(closed, "GET", "/", headers=bearer(f"guess-{n:010}")) for n in range(12)]
    assert tried == [401] * 9 + [429] * 3
    async with closed.get("/stats", headers=bearer(OTHER)) as reply:
        assert reply.status == 429, "right, but nobody knows that who has tried so many"
        assert 1 <= int(reply.headers["Retry-After"]) <= 6
    assert await status(closed, "GET", "/stats", headers=bearer(TOKEN)) == 200
    assert await status(closed, "GET", "/stats", headers=bearer(stale)) == 401
    cookies = {COOKIE: Tokens([TOKEN]).session()}
    assert await status(closed, "GET", "/stats", cookies=cookies) == 200
    assert await status(closed, "GET", "/healthz") == 200


def test_addresses_are_counted_apart_and_forgotten_in_time():
    now = [0.0]
    asked: list[str] = []

    def known(token: str) -> bool:
        asked.append(token)
        return token == TOKEN

    tries = Tries(known, lambda: now[0])
    for n in range(TRIES):
        assert not tries.right("2001:db8::1", f"a{n}")
    for remote in ("2001:db8::1", "2001:db8::ffff:1"):  # of one network, so of one owner
        with pytest.raises(TooMany):
            tries.right(remote, TOKEN)
    assert len(asked) == TRIES, "what is refused isn't compared"
    for other in ("2001:db8:0:1::1", "fe80::1%eth0", "10.0.0.1", None):
        assert tries.right(other, TOKEN)
    now[0] += 1 / TRIES_PER_S
    assert not tries.right("2001:db8::2", "one more")
    with pytest.raises(TooMany):
        tries.right("2001:db8::2", "and one too many")


@pytest.mark.asyncio
async def test_without_a_token_there_is_nothing_to_log_in_to():
    async with serving() as client:
        assert await status(client, "GET", "/login") == 303
        assert await status(client, "POST", "/login", data={"token": "x"}) == 303


def test_a_session_ends_and_can_not_be_made_up():
    now = 1_000.0
    tokens = Tokens([TOKEN, OTHER], lambda: now)
    value = tokens.session()
    assert TOKEN not in value
    assert Tokens([OTHER, TOKEN], lambda: now).session_known(value)  # any worker, while rotating
    assert not Tokens([OTHER], lambda: now).session_known(value)
    end, _, signature = value.partition(".")
    for wrong in (
        "", ".", end, f"{end}.", f".{signature}", f"{int(end) + 1}.{signature}",
        f"-{end}.{signature}", f"{end}.{signature}0", f"{end}.{'ü' * 64}",
        f"{'9' * 20}.{signature}",
    ):  # fmt: skip
        assert not tokens.session_known(wrong), wrong
    assert tokens.session_known(value)
    now += SESSION_S
    assert not tokens.session_known(value)


ELSEWHERE = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
]


@pytest.mark.asyncio
@pytest.mark.parametrize("headers", ELSEWHERE)
@pytest.mark.parametrize("environ", [{}, {"JOBS_API_TOKEN": TOKEN}])
async def test_pages_of_other_sites_change_nothing(environ, headers):
    async with serving(**environ) as client:
        cookies = {COOKIE: Tokens([TOKEN]).session()}
        for path in ("/job", "/job/0-0/cancel"):
            sent = {"headers": headers, "cookies": cookies}
            assert await status(client, "POST", path, **sent) == 403
        assert await status(client, "GET", "/job/all", headers=headers, cookies=cookies) == 200


@pytest.mark.asyncio
async def test_our_own_pages_and_programs_do(closed):
    origin = str(closed.make_url("")).rstrip("/")
    cookies = {COOKIE: Tokens([TOKEN]).session()}
    for headers in (
        {"Origin": origin},
        {"Sec-Fetch-Site": "same-origin", "Origin": origin},
        {"Sec-Fetch-Site": "none"},
        {},
    ):
        sent = {"headers": headers, "cookies": cookies}
        assert await status(closed, "POST", "/job", **sent) == 202


@pytest.mark.asyncio
async def test_a_name_that_is_not_ours(closed):
    async with serving() as client:
        headers = {"Host": "evil.example:8080"}
        assert await status(client, "GET", "/job/all", headers=headers) == 421
        assert await status(client, "GET", "/healthz", headers=headers) == 200
    async with serving(JOBS_ALLOWED_HOSTS="evil.example") as client:
        assert await status(client, "GET", "/job/all", headers=headers) == 200
    # With a token, another name has no cookie and is worth nothing.
    assert await status(closed, "GET", "/", headers={**headers, **bearer(TOKEN)}) == 200
    async with serving(JOBS_API_TOKEN=TOKEN, JOBS_ALLOWED_HOSTS="jobs.example") as client:
        assert await status(client, "GET", "/", headers={**headers, **bearer(TOKEN)}) == 421


def test_names():
    hosts = Hosts(
        load(
            {
                "JOBS_ALLOWED_HOSTS": "jobs.example,*.svc",
                "JOBS_ADVERTISED_URL": "http://Worker-1.workers.example:1",
            }
        )
    )
    for name in (
        "localhost", "LOCALHOST:8080", "127.0.0.1:1", "10.1.2.3", "[::1]:80", "[fe80::1]", "worker",
        "kafka-worker:8080", "a.localhost", "jobs.example", "Jobs.Example.:80", "a.b.svc",
        "worker-1.workers.example:1",
    ):  # fmt: skip
        assert hosts.known(name), name
    for name in (
        "evil.example", "xjobs.example", "jobs.example.evil", "svc.example", "127.0.0.1.nip.io",
        "", ":80", "[", "a@evil.example", "localhost.evil.example", "1.2.3.4.5",
        "evillocalhost.com",
    ):  # fmt: skip
        assert not hosts.known(name), name
    assert Hosts(load({"JOBS_ALLOWED_HOSTS": "*"})).known("evil.example")


@pytest.mark.asyncio
async def test_headers_of_all_answers(closed):
    for path, expected in (("/login", 200), ("/", 401), ("/healthz", 200)):
        async with closed.get(path) as reply:
            assert reply.status == expected
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            assert reply.headers["Referrer-Policy"] == "no-referrer"
            assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert reply.headers["Cache-Control"] == "no-store"
            policy = reply.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'")
            assert "unsafe" not in policy
            assert not [name for name in reply.headers if name.startswith("Access-Control")]


@pytest.mark.asyncio
async def test_submissions_are_limited():
    async with serving(JOBS_SUBMIT_RATE="1", JOBS_SUBMIT_BURST="3") as client:
        told = [await status(client, "POST", "/job") for _ in range(3)]
        assert told == [202] * 3
        # So many that a slow machine can't have got a new token for each.
        replies = await asyncio.gather(*(client.post("/job") for _ in range(20)))
        refused = [reply for reply in replies if reply.status == 429]
        assert refused
        assert {reply.headers["Retry-After"] for reply in refused} == {"1"}
        assert await status(client, "GET", "/job/all") == 200


@pytest.mark.asyncio
async def test_a_body_that_does_not_come(monkeypatch):
    monkeypatch.setattr(bodies, "BODY_S", 0.05)
    async with serving() as client:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(b"POST /job HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
        answer = await reader.read()  # to the end: the connection is closed
        writer.close()
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_bucket_fills_again():
    now = [0.0]
    clock: Callable[[], float] = lambda: now[0]  # noqa: E731 - a clock
    bucket = Bucket(2, 3, clock)
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5]
    now[0] += 0.5
    assert [bucket.take() for _ in range(2)] == [0, 0.5]
    now[0] += 100
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5]
    buckets = Buckets(1, 1, 2, clock)
    assert [buckets.take(name) for name in ("a", "a", "b", "a", "c", "b")] == [0, 1, 0, 1, 0, 0]
