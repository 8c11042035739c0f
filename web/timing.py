"""How many requests there were, and how long they took, by route and never by job."""

from __future__ import annotations

import time
from collections import Counter

from aiohttp import web

from jobs.histogram import Histogram
from web.problems import Handler

HTTP_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpTimes:
    """Counts of this worker since it started."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()  # by method, route and status
        self.open: Counter[tuple[str, str]] = Counter()  # not answered yet, by method and route
        self.took: dict[tuple[str, str], Histogram] = {}  # by method and route

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request has been answered."""
        self.requests[method, route, status] += 1
        took = self.took.get((method, route))
        if took is None:
            took = self.took[method, route] = Histogram(HTTP_S)
        took.observe(seconds)


TIMES = web.AppKey("times", HttpTimes)


@web.middleware
async def timed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count a request; it goes around all that makes an answer."""
    began = time.perf_counter()
    status = 499  # the client went away before there was an answer
    times = request.app[TIMES]
    # Anybody may send any method, and any path: neither may become a label of its own.
    method = request.method if request.method in _METHODS else "other"
    resource = request.match_info.route.resource
    route = "unmatched" if resource is None else resource.canonical
    times.open[method, route] += 1
    try:
        response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as exc:  # a redirect
        status = exc.status
        raise
    finally:
        times.open[method, route] -= 1
        times.note(method, route, status, time.perf_counter() - began)
