"""What every request must pass before a view sees it: the right host, site and token."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from functools import partial
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from settings import Settings
from web.page import LOGIN, PAGES
from web.problems import Forbidden, Handler, Misdirected, Unauthorized
from web.tokens import Tokens
from web.tries import Tries

# Of these, /login and /logout may be asked from elsewhere, too: a form of a page with no referrer
# has the origin "null", and whoever logs somebody in needs a token.
_OPEN = frozenset({"/healthz", "/readyz", "/login", "/logout"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Made of the settings; ``middleware`` asks it of each request."""

    def __init__(self, settings: Settings) -> None:
        self.tokens = Tokens(settings.api_tokens or ())
        self._tries = Tries(self.tokens.known)
        self._hosts = Hosts(settings)
        # With a token asked for, another name for us is worth nothing: its pages have no cookie.
        self._check_host = bool(settings.allowed_hosts) or not self.tokens

    @property
    def middleware(self) -> Middleware:
        """For aiohttp; behind the one that answers problems."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            away = self.check(request)
            return await handler(request) if away is None else away

        return guarded

    def check(self, request: web.Request) -> web.StreamResponse | None:
        """``None``: let it in. A browser that has to log in first is sent there.

        Raises:
            Misdirected, Forbidden, Unauthorized, TooMany: don't.
        """
        path = request.path
        health = path in ("/healthz", "/readyz")
        if self._check_host and not health and not self._hosts.known(request.host):
            raise Misdirected(
                f"this worker isn't known as {_shown(request.host)}: ask it by address, or put the "
                "name into JOBS_ALLOWED_HOSTS"
            )
        if request.method not in _SAFE and path not in _OPEN and _from_elsewhere(request):
            raise Forbidden("a page of another site may not change anything here")
        if path in _OPEN or path.startswith("/assets/"):
            return None
        if self.tokens.allows(request, partial(self._tries.right, request.remote)):
            return None
        if path in PAGES and "text/html" in request.headers.get("Accept", ""):
            # What is behind # the browser takes along to where it is sent.
            return web.Response(status=303, headers={"Location": LOGIN.format(path)})
        raise Unauthorized(
            "a token is asked for: Authorization: Bearer TOKEN, with one of JOBS_API_TOKEN"
        )


class Hosts:
    """The names that a worker is asked by.

    A page of a name that somebody else owns can let that name lead to our address (DNS
    rebinding), and is then of the same site as we are to a browser. An address, or a name with no
    dot, is nobody's to give away.
    """

    def __init__(self, settings: Settings) -> None:
        ours: Iterable[str | None] = (
            urlsplit(settings.url).hostname, settings.bind.lower(), socket.gethostname().lower(),
        )  # fmt: skip
        self._names = {name for name in (*settings.allowed_hosts, *ours) if name}
        self._below = tuple(name[1:] for name in self._names if name.startswith("*."))

    def known(self, host: str) -> bool:
        """Whether we go by this name (a ``Host`` header, with or without a port)."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if not name:
            return False
        return (
            "*" in self._names
            or name in self._names
            or name.endswith((".localhost", *self._below))
            or _plain(name)
        )


def _plain(name: str) -> bool:
    if "." not in name and ":" not in name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _from_elsewhere(request: web.Request) -> bool:
    """Whether a browser says that a page of another site asks. Programs don't say."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    # Browsers leave the other header out where we are asked without TLS.
    return origin is not None and origin.partition("://")[2].lower() != request.host.lower()


def _shown(host: str) -> str:
    return repr(host[:100])
