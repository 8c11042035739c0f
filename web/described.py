"""The views of the API's description."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from aiohttp import web

from jobs.registry import HANDLERS
from web.page import FILES_POLICY, base_url
from web.reference import CALLS
from web.reference.document import document
from web.reference.page import page
from web.site import JobsView


@cache
def _document(secured: bool) -> dict[str, Any]:
    # When it is asked for first, all handlers are registered.
    return document(CALLS, sorted(each.name for each in HANDLERS), secured=secured)


class OpenApi(JobsView):
    """``GET /openapi.json``."""

    async def get(self, request: web.Request) -> web.Response:
        """The document of this worker."""
        return web.Response(
            body=msgspec.json.encode(_document(bool(self.site.peers.tokens))),
            content_type="application/json",
        )


class Docs(JobsView):
    """``GET /docs``."""

    async def get(self, request: web.Request) -> web.Response:
        """The document as a page."""
        url = base_url(request.scheme, request.host, self.site.owners.me)
        return web.Response(
            text=page(_document(bool(self.site.peers.tokens)), url),
            content_type="text/html",
            headers={"Content-Security-Policy": FILES_POLICY},
        )
