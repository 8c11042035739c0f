"""``GET /job/events``: what happens to jobs, as it happens (server-sent events)."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from aiohttp import web
from aiokafka.errors import KafkaError

from web import cursor
from web.listener import Listener, Wanted, problem
from web.site import JobsView

BEAT_S = 15.0  # proxies close what is silent for longer
WRITE_S = 20.0  # a client that takes nothing for so long is gone
_UNREAD = "Kafka can't be read now; come again with the last id"
_SLOW = "this client is too slow for what happens here; come again with the last id"
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


class Events(JobsView):
    """``GET /job/events``."""

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Transitions of jobs of all workers, from now on, or from ``Last-Event-ID`` (also
        ``?last_event_id=``), which any worker takes up. ``?status=`` (several with commas),
        ``?handler=``, ``?id=``. ``event: problem`` says what went wrong; a comment comes every
        15 s."""
        wanted = Wanted.parse(request.query)
        given = request.headers.get("Last-Event-ID") or request.query.get("last_event_id")
        after = cursor.decode(given, self.site.parts.lifecycle.partitions) if given else None
        if request.method == "HEAD":
            return web.Response(headers=_HEADERS)
        tail, listener = self.site.tail, Listener(wanted)
        async with tail.listening():
            stream = web.StreamResponse(headers=_HEADERS)
            stream.force_close()  # it ends with the worker, or because the client should go
            with tail.told(listener):
                if after is None:
                    tail.join(listener)
                begin = tail.cursor if after is None else cursor.encode(after)
                try:
                    await stream.prepare(request)
                    await _write(stream, b"retry: 1000\n%s\n" % cursor.line(begin))
                    if after is None or await self._caught_up(stream, listener, after):
                        await self._tell(stream, listener)
                    await stream.write_eof()
                except TimeoutError:
                    if request.transport is not None:
                        request.transport.abort()
                except ConnectionError:
                    pass  # the client has gone
            return stream

    async def _caught_up(
        self, stream: web.StreamResponse, listener: Listener, after: list[int]
    ) -> bool:
        """Tell what was missed. False: Kafka can't be read."""
        async with aclosing(self.site.tail.catch_up(listener, after)) as missed:
            while True:
                try:
                    chunk = await anext(missed, b"")
                except (TimeoutError, KafkaError):
                    await _write(stream, problem(_UNREAD))
                    return False
                if not chunk:
                    return True
                await _write(stream, chunk)

    async def _tell(self, stream: web.StreamResponse, listener: Listener) -> None:
        while not listener.closed:
            try:
                chunk = await listener.next(BEAT_S)
            except TimeoutError:
                # All that happened until here has been told, or isn't wanted.
                chunk = b": still here\n%s\n" % cursor.line(self.site.tail.cursor)
            if chunk:
                await _write(stream, chunk)
            elif listener.slow:
                await _write(stream, problem(_SLOW))
                return


async def _write(stream: web.StreamResponse, chunk: bytes) -> None:
    """Raises TimeoutError: the client takes nothing."""
    async with asyncio.timeout(WRITE_S):
        await stream.write(chunk)
