"""Who owns a partition, and how a request gets there.

The group's own metadata says which worker has which partition: Faust's assignor gives it to
every member with its assignment. A request is forwarded once, and only to those addresses.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable

import aiohttp
from aiohttp import web
from yarl import URL

from tables.partition import Partition
from web.bodies import read
from web.newest import superseded
from web.parts import Parts
from web.problems import Unavailable
from web.tokens import Tokens
from worker.app import JobsApp

FORWARDED = "X-Jobs-Forwarded"
USER = "X-Jobs-User"

CONNECT_S = 2.0
GET_S = 7.0  # reading the log takes 5 s at most
POST_S = 14.0  # a cancel reads, writes and waits: 11 s at most

# Those of the connection (RFC 9110, 7.6.1), and those that are written anew. Bodies come to us
# decoded, so their encoding isn't passed on.
_NOT_PASSED_ON = frozenset(
    {
        "connection", "keep-alive", "proxy-connection", "proxy-authenticate",
        "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "host",
        "content-length", "content-encoding", "expect",
        # What a client says of itself has been judged here; what is left of it is our session.
        "authorization", "cookie", "origin", "referer", "sec-fetch-site", "sec-fetch-mode",
        "sec-fetch-dest", "sec-fetch-user",
    }
)  # fmt: skip
_NOT_GIVEN_BACK = _NOT_PASSED_ON - {"content-encoding"} | {"date", "server", "set-cookie"}


class Owners:
    """Which worker has which partition."""

    def __init__(self, app: JobsApp, parts: Parts) -> None:
        self._app = app
        self._table = parts.table
        self._places = parts.jobs.places
        self._changelog = parts.names.changelog
        self._reader = parts.reader

    @property
    def me(self) -> str:
        """This worker's address in the group's metadata."""
        return str(self._app.conf.canonical_url)

    def workers(self) -> dict[str, list[int]]:
        """Address → partitions, of every worker of the group. Empty before the first
        assignment; during a rebalance it is the former one."""
        return {
            url: sorted(topics.get(self._changelog, ()))
            for url, topics in self._app.router.tables_metadata().items()
        }

    def of(self, partition: int) -> str | None:
        """The address of the partition's owner; ``None`` if nobody is known to have it."""
        return next((url for url, ps in self.workers().items() if partition in ps), None)

    def served(self, partition: int) -> Partition | None:
        """The partition's rows, if this worker may answer for it now."""
        part = self._table.served.get(partition)
        if part is None or not part.alive or partition not in self._places:
            return None
        # Silent for longer than its session, another worker may have it, and newer states.
        return None if self._app.stale() else part

    async def superseded(self, numbers: Iterable[int]) -> set[int]:
        """Those of these partitions that we serve, though another worker has newer states."""
        if not self._app.rebalancing:
            return set()  # nobody can have taken one over
        parts = {n: part for n in numbers if (part := self.served(n)) is not None}
        return await superseded(self._reader, self._changelog, parts) if parts else set()

    def all_served(self) -> dict[int, Partition]:
        """The partitions that this worker may answer for now, in their order."""
        found = {n: self.served(n) for n in sorted(self._table.served)}
        return {n: part for n, part in found.items() if part is not None}


class Peers:
    """HTTP to the other workers of the group.

    Args:
        tls: with what their certificates are checked; the system's CAs unless given.
    """

    def __init__(
        self, owners: Owners, tokens: Tokens | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._owners = owners
        self.tokens = tokens or Tokens(())
        self._tls: ssl.SSLContext | bool = tls or True
        self._session: aiohttp.ClientSession | None = None

    async def close(self, _: web.Application | None = None) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def owner(self, request: web.Request, partition: int) -> str | None:
        """The address of the owner of a partition that is asked about; ``None``: it is us.

        Raises:
            Unavailable: its owner isn't known, or isn't ready.
        """
        if self._owners.served(partition) is not None:
            if not await self._owners.superseded([partition]):
                return None
            raise Unavailable(f"partition {partition} is changing its owner; try again")
        if FORWARDED in request.headers:
            raise Unavailable(f"partition {partition} is not served by this worker now; try again")
        url = self._owners.of(partition)
        if url is None:
            raise Unavailable(f"no worker is known to own partition {partition} yet; try again")
        if url == self._owners.me:
            raise Unavailable(f"this worker is recovering partition {partition}; try again")
        return url

    async def elsewhere(self, request: web.Request, partition: int) -> web.Response | None:
        """The owner's answer to a request about a partition; ``None``: the owner is us.

        Raises:
            Unavailable: its owner isn't known, isn't ready, or doesn't answer.
        """
        url = await self.owner(request, partition)
        if url is None:
            return None
        try:
            return await self._forward(url, request)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise silent(url, partition, exc) from None

    async def ask(
        self, url: str, request: web.Request, timeout_s: float, path: str | None = None
    ) -> tuple[int, bytes]:
        """Ask another worker the same GET, or one of another ``path``; its status and body.

        Raises:
            ClientError, TimeoutError, OSError: it doesn't answer.
        """
        headers = {FORWARDED: "1", **self.tokens.pass_on(request)}
        limit = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S)
        target = _target(url, request) if path is None else URL(url.rstrip("/") + path)
        async with self._client().get(
            target, headers=headers, allow_redirects=False, timeout=limit
        ) as reply:
            return reply.status, await reply.read()

    async def _forward(self, url: str, request: web.Request) -> web.Response:
        headers = [(k, v) for k, v in request.headers.items() if _passes(k, request)]
        headers += [(FORWARDED, "1"), *self.tokens.pass_on(request).items()]
        if USER not in request.headers and request.remote:
            headers.append((USER, request.remote))  # the owner sees only our address
        get = request.method in ("GET", "HEAD")
        async with self._client().request(
            # The answer to HEAD is that to GET; our own server leaves its body out.
            "GET" if get else request.method,
            _target(url, request),
            headers=headers,
            data=await read(request) or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=GET_S if get else POST_S, sock_connect=CONNECT_S),
        ) as reply:
            body = await reply.read()
            response = web.Response(status=reply.status, body=body)
            response.headers.popall("Content-Type", None)
            for name, value in reply.headers.items():
                if name.lower() not in _NOT_GIVEN_BACK:
                    response.headers.add(name, value)
            return response

    def _client(self) -> aiohttp.ClientSession:
        # Made here since it belongs to the loop that runs, which attach() doesn't know.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,  # as many as there are requests
                    ssl=self._tls,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self._session


def silent(url: str, partition: int, exc: Exception) -> Unavailable:
    """The owner of a partition doesn't answer."""
    return Unavailable(
        f"worker {url} owns partition {partition} and does not answer "
        f"({type(exc).__name__}); try again"
    )


def _passes(name: str, request: web.Request) -> bool:
    lower = name.lower()
    named = request.headers.get("Connection", "").lower()
    return (
        lower not in _NOT_PASSED_ON
        and lower != FORWARDED.lower()
        and lower not in [token.strip() for token in named.split(",")]
    )


def _target(url: str, request: web.Request) -> URL:
    # From the parsed path, never from the request line: that may name another host.
    query = request.rel_url.raw_query_string
    path = request.rel_url.raw_path + (f"?{query}" if query else "")
    return URL(url.rstrip("/") + path, encoded=True)
