"""Who may ask: a token in ``Authorization``, or the cookie of a browser that gave one."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Sequence

from aiohttp import web

COOKIE = "jobs_session"
SESSION_S = 12 * 3_600

_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)


class Tokens:
    """Checks tokens and sessions. Any worker with the same token takes a session of any other:
    the cookie holds its end and a signature of it, by a key that is made of the token.

    Args:
        tokens: all that are taken; the first one signs, and is sent to other workers.
        now: seconds since the epoch.
    """

    def __init__(self, tokens: Sequence[str], now: Callable[[], float] = time.time) -> None:
        self._tokens = [token.encode() for token in tokens]
        self._now = now

    def __bool__(self) -> bool:
        """Whether one is asked for."""
        return bool(self._tokens)

    def known(self, token: str) -> bool:
        """Whether it is one of ours; takes as long for a wrong one."""
        given = token.encode("utf-8", "surrogateescape")
        # All are compared, so that nobody can tell which one it was.
        return sum(hmac.compare_digest(given, each) for each in self._tokens) > 0

    def session(self) -> str:
        """The value of a new cookie."""
        end = str(int(self._now()) + SESSION_S)
        return f"{end}.{_signature(self._tokens[0], end)}"

    def session_known(self, value: str) -> bool:
        """Whether a cookie is one of ours, and not over."""
        end, _, signature = value.partition(".")
        if not re.fullmatch(r"\d{1,12}", end, re.ASCII) or not signature.isascii():
            return False
        found = sum(hmac.compare_digest(signature, _signature(each, end)) for each in self._tokens)
        return found > 0 and int(end) > self._now()

    def allows(self, request: web.Request, right: Callable[[str], bool]) -> bool:
        """Whether the request brings a token or a session, or none is asked for. ``right``: as
        ``known``, for a token that somebody may have guessed."""
        if not self._tokens:
            return True
        given = request.headers.get("Authorization")
        if given is not None:
            match = _BEARER.fullmatch(given)
            return match is not None and right(match[1])
        return self.session_known(request.cookies.get(COOKIE, ""))

    def authorization(self, request: web.Request) -> str | None:
        """What another worker is told: the client's own, or for a session our token."""
        given = request.headers.get("Authorization")
        if given is not None or not self._tokens:
            return given
        return f"Bearer {self._tokens[0].decode()}"


def _signature(token: bytes, end: str) -> str:
    return hmac.new(token, f"session until {end}".encode(), "sha256").hexdigest()
