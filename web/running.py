"""``GET /about``: what this worker runs, and on what. It stays the same while the worker lives."""

from __future__ import annotations

from aiohttp import web

from jobs.durations import format_duration
from jobs.registry import DEFAULT_HANDLER, HANDLERS, Handler
from web import render
from web.shapes_about import AboutAnswer, HandlerShape, Topics
from web.site import JobsView


class About(JobsView):
    """``GET /about``."""

    async def get(self, request: web.Request) -> web.Response:
        """The broker, the topics and the handlers, with the options that they have of their own."""
        names = self.site.parts.names
        return render.answer(
            AboutAnswer(
                worker=self.site.owners.me,
                kafka=self.site.parts.settings.kafka,
                login=bool(self.site.peers.tokens),
                topics=Topics(names.jobs, names.retry, names.cancel, names.dead, names.changelog),
                handlers=[_shown(each) for each in sorted(HANDLERS, key=lambda each: each.name)],
            )
        )


def _shown(handler: Handler) -> HandlerShape:
    timeout = handler.timeout_ns
    return HandlerShape(
        name=handler.name,
        default=handler.name == DEFAULT_HANDLER,
        doc=handler.help,
        kind=handler.kind,
        timeout=None if timeout is None else format_duration(timeout),
        reruns=handler.reruns,
    )
