"""The requests of a call: its redirects, and reading no more of an answer than fits a row."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from handlers.http.answer import MAX_BODY_BYTES, REDIRECTS, Answer, judged
from handlers.http.call import HttpCall
from handlers.http.content import content_type
from handlers.http.settings import HttpSettings
from handlers.http.signing import SIGNATURE, signature
from handlers.http.sockets import Hop, current_hop, permitted_socket
from handlers.http.urls import checked_url, shown
from jobs import Context, Discard, Retry

MAX_REDIRECTS = 5
CONNECT_S = 30.0  # for one address; the attempt's own timeout is over all


class HttpClient:
    """The session that all attempts of a worker share. Make it within the event loop."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        # No limit of connections: a worker's slots are one.
        self._connector = aiohttp.TCPConnector(
            limit=0, socket_factory=partial(permitted_socket, settings)
        )
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),  # one job's login is not another's
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            auto_decompress=False,  # a small answer must not become a large one
            trust_env=False,  # a proxy would connect for us, to where we can't see
        )

    async def close(self) -> None:
        """End its connections."""
        await self._session.close()

    async def call(self, ctx: Context, call: HttpCall) -> dict[str, Any]:
        """Call, and judge the answer; what the job's result is.

        Raises:
            Retry: no connection, or an answer that is worth a rerun.
            Discard: an answer that isn't, or an address that jobs may not reach.
        """
        url, method, body = URL(call.url), call.method, call.body_bytes or b""
        headers = CIMultiDict({"User-Agent": "jobs-on-kafka"})
        headers.update(call.headers)
        if body:
            headers["Content-Type"] = content_type(headers)
        headers["Idempotency-Key"] = ctx.key
        headers.update({"X-Job-Id": str(ctx.job_id), "X-Job-Attempt": str(ctx.attempt)})
        headers["Accept-Encoding"] = "identity"
        if ctx.traceparent is not None:
            headers.setdefault("traceparent", ctx.traceparent)
        own_origin = url.origin()
        for _ in range(MAX_REDIRECTS + 1):
            if self._settings.secrets and url.origin() == own_origin:
                headers[SIGNATURE] = signature(
                    self._settings.secrets[0], int(time.time()), ctx.job_id, ctx.attempt, body
                )
            answer = await self._ask(ctx, method, url, headers, body)
            verdict = call.verdict(answer.status)
            target = self._redirect(url, answer) if verdict == "failed" else None
            if target is None:
                return judged(f"{method} {shown(url)}", verdict, answer)
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, body = "GET", b""
                headers.pop("Content-Type", None)
            if target.origin() != own_origin:  # keys and tokens were for the first one
                for name in (*call.headers, SIGNATURE):
                    if name.lower() not in ("content-type", "accept", "user-agent"):
                        headers.pop(name, None)
            url = target
        raise Discard(f"{call.method} {shown(URL(call.url))}: more than {MAX_REDIRECTS} redirects")

    async def _ask(
        self, ctx: Context, method: str, url: URL, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        what = f"{method} {shown(url)}"
        hop = Hop(url.raw_host or "")
        current_hop.set(hop)  # the tasks that connect copy it; each attempt is a task of its own
        try:
            async with self._session.request(
                method, url, headers=headers, data=body or None, allow_redirects=False
            ) as response:
                content = bytearray()
                async for chunk in response.content.iter_any():
                    content += chunk
                    if len(content) > MAX_BODY_BYTES:
                        response.close()  # for what is left, the connection isn't kept
                        break
                whole = len(content) <= MAX_BODY_BYTES
                return Answer(
                    response.status, response.headers, bytes(content[:MAX_BODY_BYTES]), not whole
                )
        except aiohttp.InvalidURL as exc:
            raise Discard(f"{what}: {exc}") from exc
        except (aiohttp.ClientError, OSError) as exc:  # TimeoutError is an OSError
            if hop.refused and not hop.tried:
                ctx.logger.warning("%s: its address is none that JOBS_HTTP_ALLOW allows", what)
                raise Discard(
                    f"{what}: jobs may not reach {hop.host}: its address is private, loopback, "
                    "link-local or otherwise not public. To allow it, name it in JOBS_HTTP_ALLOW "
                    "of the workers"
                ) from exc
            raise Retry(f"{what}: {type(exc).__name__}: {exc}") from exc

    def _redirect(self, url: URL, answer: Answer) -> URL | None:
        location = answer.headers.get("Location")
        if answer.status not in REDIRECTS or not location or not self._settings.redirects:
            return None
        try:
            target = checked_url(str(url.join(URL(location))))
        except ValueError as exc:
            raise Discard(f"{shown(url)} redirects to where jobs may not go: {exc}") from None
        if url.scheme == "https" and target.scheme == "http":
            raise Discard(f"{shown(url)} redirects from https to http")
        return target
