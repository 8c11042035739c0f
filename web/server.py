"""What aiohttp refuses before any of our code runs (no HTTP, header too long) as a problem, too.

aiohttp answers those in plain text and logs a traceback for each; a port scan would fill the log.
It has no setting for either, hence these three small subclasses.
"""

from __future__ import annotations

import logging
from typing import cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from faust.types.web import Web
from faust.web.drivers import aiohttp as driver

from web.problems import document

# A connection with no whole request on it for so long is closed, also when a few bytes of one come
# now and then. Longer than proxies keep theirs (60 s), or they would send to one that is closing.
IDLE_S = 75.0

# Bytes of a line of the head. A place in each of a thousand partitions fits, in a header and in the
# first line.
MAX_LINE = 32_768

logger = logging.getLogger(__name__)


class ProblemHandler(RequestHandler):
    """One connection."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what could not become a request, or went wrong past our middleware."""
        if status >= 500:
            logger.error("answering %s failed", request.remote, exc_info=exc)
            detail = "this is a fault of the worker; its log has the cause"
        else:
            logger.debug("refused what %s sent: %s", request.remote, message or exc)
            detail = f"this can't be read as an HTTP request: {message or exc or 'malformed'}"
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already; the connection is closed")
        answer = document(request, status, detail[:500])
        answer.force_close()
        return answer


class ProblemServer(web.Server):
    """Makes our handler for each connection."""

    def __call__(self) -> RequestHandler:
        return ProblemHandler(self, loop=self._loop, **self._kwargs)


class ProblemRunner(web.AppRunner):
    """Makes our server."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = ProblemServer  # it has no state of its own, and no factory to give it
        return server


def serve_problems(site: Web) -> None:
    """Let Faust's web server use our runner."""
    ours = cast(driver.Web, site)
    ours._runner = ProblemRunner(
        ours.web_app,
        access_log=None,
        keepalive_timeout=IDLE_S,
        max_line_size=MAX_LINE,
        max_field_size=MAX_LINE,
    )
