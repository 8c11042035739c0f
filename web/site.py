"""What views share, and the class that they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from aiohttp import web
from faust.types.web import Web
from faust.web.drivers import aiohttp as driver
from faust.web.exceptions import WebError
from faust.web.views import View

from web.everyone import Everyone
from web.lookup import Lookup
from web.owner import Owners, Peers
from web.parts import Parts
from web.problems import TooLarge, too_large
from web.stats import Stats
from web.tail import Tail
from web.waiting import Waiting
from worker.app import JobsApp


@dataclass(frozen=True, slots=True)
class Site:
    """One for each worker."""

    app: JobsApp
    parts: Parts
    owners: Owners
    peers: Peers
    lookup: Lookup
    everyone: Everyone
    stats: Stats
    waiting: Waiting
    tail: Tail

    @classmethod
    def of(cls, app: JobsApp, parts: Parts) -> Site:
        """Put it together."""
        owners = Owners(app, parts)
        peers = Peers(owners)
        lookup = Lookup(parts, owners)
        everyone = Everyone(parts, owners, peers)
        stats = Stats(parts, owners, peers)
        waiting = Waiting(parts, owners, peers, lookup)
        tail = Tail.of(parts)
        return cls(app, parts, owners, peers, lookup, everyone, stats, waiting, tail)

    def stop(self) -> None:
        """End what would hold a stop up: whoever listens is told to go elsewhere."""
        self.tail.close()
        self.waiting.close()

    async def on_shutdown(self, _: web.Application) -> None:
        """``stop``, when nobody has called it."""
        self.stop()


SITE = web.AppKey("site", Site)


def server_of(faust_web: Web) -> web.Application:
    """The aiohttp application behind Faust's web server; it has no other driver."""
    return cast(driver.Web, faust_web).web_app


class JobsView(View):
    """A Faust view whose errors go to our middleware, as everything does that is raised."""

    site: Site

    def __post_init__(self) -> None:
        self.site = server_of(self.web)[SITE]

    def get_methods(self) -> set[str]:
        """Those that the view has; Faust adds HEAD also where there is no GET."""
        methods = set(super().get_methods())
        return methods if "GET" in methods else methods - {"HEAD"}

    async def on_request_error(self, request: object, exc: WebError) -> web.Response:  # type: ignore[override] # Faust's own Request and Response are abstract shells of aiohttp's
        """Leave it to the middleware."""
        raise exc

    async def body(self, request: web.Request) -> bytes:
        """The request's body.

        Raises:
            TooLarge: its header says so already; then nothing is read. aiohttp raises its own
                413 when more comes than it may.
        """
        limit = self.site.parts.settings.max_body_bytes
        if (request.content_length or 0) > limit:
            raise TooLarge(too_large(limit))
        return await request.read()
