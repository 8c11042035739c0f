"""Who may ask: a token in ``Authorization``, or the cookie of a browser that gave one."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Sequence

from aiohttp import web

COOKIE = "jobs_session"
SESSION_S = 12 * 3_600
PEER_S = 3_600  # of one worker at another; their clocks may be apart

_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)


class Tokens:
    """Checks tokens and sessions. Any worker with the same token takes a session of any other:
    the cookie holds its end and a signature of it, by a key that is made of the token.

    Args:
        tokens: all that are taken; the first one signs.
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

    def session(self, lasts_s: int = SESSION_S) -> str:
        """The value of a new cookie."""
        end = str(int(self._now()) + lasts_s)
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

    def pass_on(self, request: web.Request) -> dict[str, str]:
        """The header by which another worker knows that the request may be asked: a session of
        our own. It can't be guessed, so tries of tokens that come from our address don't count
        for it; and another worker that has our token, but not yet the client's, takes it, too."""
        if self._tokens:
            return {"Cookie": f"{COOKIE}={self.session(PEER_S)}"}
        given = request.headers.get("Authorization")  # maybe the other one asks for it
        return {} if given is None else {"Authorization": given}


def _signature(token: bytes, end: str) -> str:
    return hmac.new(token, f"session until {end}".encode(), "sha256").hexdigest()
