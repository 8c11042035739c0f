"""Every URL, on one screen."""

from __future__ import annotations

from typing import Any

from settings import Settings
from web import about, api, dead, described, events, files, login, metrics, retry, running
from web.guard import Guard
from web.headers import on_prepare
from web.parts import Parts
from web.problems import as_problems
from web.server import serve_problems
from web.site import SITE, JobsView, Site, server_of
from web.timing import TIMES, HttpTimes, timed
from worker.app import JobsApp

ROUTES: tuple[tuple[str, type[JobsView]], ...] = (
    # Not last: Faust adds a page of its own at the end, and aiohttp would take both for one.
    ("/", files.Page),
    ("/job", api.SubmitJob),
    ("/job/all", api.ListJobs),
    ("/job/events", events.Events),
    ("/job/dead", dead.Dead),
    ("/job/{id}/status", api.JobStatus),
    ("/job/{id}/cancel", api.CancelJob),
    ("/job/{id}/history", api.JobHistory),
    ("/job/{id}/record", dead.JobRecord),
    ("/job/{id}/retry", retry.RetryJob),
    ("/stats", about.Stats),
    ("/about", running.About),
    ("/metrics", metrics.Metrics),
    ("/openapi.json", described.OpenApi),
    ("/docs", described.Docs),
    ("/assets/{name}", files.Asset),
    ("/healthz", about.Alive),
    ("/readyz", about.Ready),
    ("/login", login.Login),
    ("/logout", login.Logout),
)


def application_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of the aiohttp application."""
    return {
        "middlewares": [timed, as_problems, Guard(settings).middleware],
        "client_max_size": settings.max_body_bytes,
    }


def attach(app: JobsApp, parts: Parts) -> None:
    """Add every view to the worker's web server."""
    site = Site.of(app, parts)
    server = server_of(app.web)
    server[SITE] = site
    server[TIMES] = HttpTimes()
    server[metrics.SCRAPER] = metrics.Scraper(site, server[TIMES])
    server.on_response_prepare.append(on_prepare)
    server.on_cleanup.append(site.peers.close)
    parts.lifecycle.on_drain.append(site.stop)
    server.on_shutdown.append(site.on_shutdown)  # after a crash there is no drain
    serve_problems(app.web)
    for path, view in ROUTES:
        app.page(path)(view)
