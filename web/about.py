"""The views of the worker itself: alive, ready, counts."""

from __future__ import annotations

from aiohttp import web

from web import render, shapes
from web.owner import FORWARDED
from web.problems import Unavailable
from web.site import JobsView


class Alive(JobsView):
    """``GET /healthz``."""

    async def get(self, request: web.Request) -> web.Response:
        """Always 200: the process answers."""
        return render.answer(shapes.Alive())


class Ready(JobsView):
    """``GET /readyz``."""

    async def get(self, request: web.Request) -> web.Response:
        """Whether requests should be sent here. A rebalance alone doesn't change it."""
        parts = self.site.parts
        if parts.lifecycle.draining:
            raise Unavailable("this worker is stopping")
        if parts.resume.recovering:
            raise Unavailable("this worker is recovering partitions")
        return render.answer(shapes.Ready(partitions=sorted(parts.table.served)))


class Stats(JobsView):
    """``GET /stats``."""

    async def get(self, request: web.Request) -> web.Response:
        """Counts over all workers, what each of them does, how far each partition is behind, and
        the last ten minutes. ``gaps``: records that were never delivered and were read from the
        log instead; ``resumed``: unfinished jobs that were taken up after takeovers; ``missing``:
        what is not in the counts, and why."""
        if FORWARDED in request.headers:
            return render.answer(await self.site.stats.share())
        return render.answer(await self.site.stats.all(request))
