"""What views share, and the class that they come from."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import cast

from aiohttp import web
from faust.types.web import Web
from faust.web.drivers import aiohttp as driver
from faust.web.exceptions import WebError
from faust.web.views import View

from agents.keys import Keys
from web.bodies import read
from web.everyone import Everyone
from web.history import Histories
from web.letters import Letters
from web.limits import Bucket
from web.lookup import Lookup
from web.owner import Owners, Peers
from web.parts import Parts
from web.problems import TooLarge, Unsupported, too_large
from web.query import check_names
from web.reference import CALLS
from web.reference.model import Call
from web.stats import Stats
from web.tail import Tail
from web.tokens import Tokens
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
    histories: Histories
    tail: Tail
    keys: Keys
    letters: Letters
    submissions: Bucket | None  # None: as many as come

    @classmethod
    def of(cls, app: JobsApp, parts: Parts) -> Site:
        """Put it together."""
        owners = Owners(app, parts)
        peers = Peers(owners, Tokens(parts.settings.api_tokens or ()), parts.tls.peers)
        lookup = Lookup(parts, owners)
        everyone = Everyone(parts, owners, peers)
        stats = Stats(parts, owners, peers)
        waiting = Waiting(parts, owners, peers, lookup)
        histories = Histories(parts, owners, lookup)
        tail = Tail.of(parts)
        keys = Keys(parts.reader, parts.submitter, parts.names.jobs, parts.jobs.places)
        letters = Letters(parts.reader, parts.names)
        rate, burst = parts.settings.submit_rate, parts.settings.submit_burst
        submissions = Bucket(rate, burst or rate, time.monotonic) if rate else None
        return cls(
            *(app, parts, owners, peers, lookup, everyone, stats, waiting),
            *(histories, tail, keys, letters, submissions),
        )

    def stop(self) -> None:
        """End what would hold a stop up: whoever listens is told to go elsewhere."""
        self.tail.close()
        self.waiting.close()

    async def on_shutdown(self, _: web.Application) -> None:
        """``stop``, when nobody has called it."""
        self.stop()


# Kinds of a body that are refused for what they say. All others are read as JSON, since many say
# something else that send it: curl -d says application/x-www-form-urlencoded.
NO_JSON = frozenset({"application/xml", "text/xml", "text/html", "text/csv", "application/zip"})

SITE = web.AppKey("site", Site)


def server_of(faust_web: Web) -> web.Application:
    """The aiohttp application behind Faust's web server; it has no other driver."""
    return cast(driver.Web, faust_web).web_app


def call_of(request: web.Request) -> Call | None:
    """The description of the call that a request makes."""
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return None if resource is None else CALLS.get((method, resource.canonical))


class JobsView(View):
    """A Faust view whose errors go to our middleware, as everything does that is raised."""

    site: Site

    def __post_init__(self) -> None:
        self.site = server_of(self.web)[SITE]

    def get_methods(self) -> set[str]:
        """Those that the view has; Faust adds HEAD also where there is no GET."""
        methods = set(super().get_methods())
        return methods if "GET" in methods else methods - {"HEAD"}

    async def dispatch(self, request: web.Request) -> web.StreamResponse:
        """Let the method answer, unless the query has a parameter that it doesn't take."""
        call = call_of(request)
        if call is not None and not call.any_query:
            check_names(request.query, call.parameters)
        return cast(web.StreamResponse, await super().dispatch(request))

    async def on_request_error(self, request: object, exc: WebError) -> web.Response:  # type: ignore[override] # Faust's own Request and Response are abstract shells of aiohttp's
        """Leave it to the middleware."""
        raise exc

    async def body(self, request: web.Request) -> bytes:
        """The request's body.

        Raises:
            TooLarge: its header says so already; then nothing is read. aiohttp raises its own
                413 when more comes than it may.
            Unsupported: it can't be JSON.
        """
        kind = request.content_type
        if kind in NO_JSON or kind.startswith(("multipart/", "image/", "audio/", "video/")):
            raise Unsupported(f"a body of {kind} can't be read: send JSON (application/json)")
        limit = self.site.parts.settings.max_body_bytes
        if (request.content_length or 0) > limit:
            raise TooLarge(too_large(limit))
        return await read(request)
