"""What every answer tells a browser: do nothing with this but show it, and keep it to yourself."""

from __future__ import annotations

from aiohttp import web

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Unless the view says otherwise: pages have a policy of their own, and their files may be kept.
USUAL = {"Content-Security-Policy": NOTHING, "Cache-Control": "no-store"}


def secure(response: web.StreamResponse) -> None:
    """Add the headers; those that the response has already stay as they are, but for ``ALWAYS``."""
    response.headers.update(ALWAYS)
    for name, value in USUAL.items():
        response.headers.setdefault(name, value)


async def on_prepare(_: web.Request, response: web.StreamResponse) -> None:
    """A signal of aiohttp: also streams pass here before their first byte."""
    secure(response)
