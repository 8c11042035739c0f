"""The way in for browsers: a page that asks for the token, and a cookie for it."""

from __future__ import annotations

from html import escape
from string import Template
from urllib.parse import parse_qsl

from aiohttp import web

from web.page import PAGES
from web.site import JobsView
from web.tokens import COOKIE, SESSION_S, Tokens
from web.tries import Tries

POLICY = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)

# The form has no action, so that it goes to its own address: with `next`, and with the part behind
# #, which a browser takes along to the page that it is sent to then.
_PAGE = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Log in - Jobs on Kafka</title>
<link rel="stylesheet" href="/assets/app.css">
<main class="login">
<h1>Jobs on Kafka</h1>
$said
<form method="post">
<p><label for="token">Token (one of JOBS_API_TOKEN)</label></p>
<p><input id="token" name="token" type="password" autocomplete="current-password" required
 autofocus></p>
<p><button type="submit" class="primary">Log in</button></p>
</form>
</main>
</html>
""")


class Login(JobsView):
    """``GET`` and ``POST /login``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._tries = Tries(self._tokens.known)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """The form."""
        if not self._tokens:
            return _to(_wanted(request))
        return _form()

    async def post(self, request: web.Request) -> web.StreamResponse:
        """A cookie for the right token, and on to the page that was wanted (``?next=``); the form
        again for a wrong one.

        Raises:
            TooMany: too many tries from this address.
        """
        if not self._tokens:
            return _to(_wanted(request))
        given = dict(parse_qsl((await self.body(request)).decode(errors="replace")))
        if not self._tries.right(request.remote, given.get("token", "").strip()):
            return _form("This is not the token.", status=403)
        response = _to(_wanted(request))
        response.set_cookie(
            COOKIE,
            self._tokens.session(),
            max_age=SESSION_S,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=_by_https(request),
        )
        return response

    @property
    def _tokens(self) -> Tokens:
        return self.site.peers.tokens


class Logout(JobsView):
    """``POST /logout``."""

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Let the browser forget the cookie."""
        response = _to("/login")
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return response


def _wanted(request: web.Request) -> str:
    """The page that was asked for before the log-in: one of ours, whatever a link may say."""
    wanted = request.query.get("next", "/")
    return wanted if wanted in PAGES else "/"


def _to(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path})


def _form(said: str = "", status: int = 200) -> web.Response:
    alert = f'<p role="alert">{escape(said)}</p>' if said else ""
    return web.Response(
        status=status,
        text=_PAGE.substitute(said=alert),
        content_type="text/html",
        headers={"Content-Security-Policy": POLICY},
    )


def _by_https(request: web.Request) -> bool:
    """Also when a proxy in front of us speaks TLS; a header that lies harms only its sender."""
    return request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"
