"""``GET /metrics``: what Prometheus asks for."""

from __future__ import annotations

import asyncio

from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from jobs.model import Status
from web.exposition import WorkerCollector
from web.lag import Lag
from web.site import JobsView, Site
from web.timing import HttpTimes


class Scraper:
    """A worker's registry: not the library's global one, which handlers' own code may fill."""

    def __init__(self, site: Site, times: HttpTimes) -> None:
        self._site = site
        self._lag = Lag(site.parts)
        self._worker = WorkerCollector(site.parts, times)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self._worker)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """The metrics in the format that ``accept`` asks for, and that format's content type."""
        worker = self._worker
        counted, worker.lags = await asyncio.gather(
            self._site.stats.counts.by_partition(), self._lag.by_partition()
        )
        worker.states = {
            status.value: sum(each[status.value] for each in counted.values()) for status in Status
        }
        worker.reachable = self._lag.reachable
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind


SCRAPER = web.AppKey("scraper", Scraper)


class Metrics(JobsView):
    """``GET /metrics``."""

    async def get(self, request: web.Request) -> web.Response:
        """This worker's numbers; each worker is scraped by itself."""
        scraper = request.app[SCRAPER]
        body, kind = await scraper.scrape(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": kind, "Cache-Control": "no-store"})
