"""What the topics have: a job's record, and dead letters."""

from __future__ import annotations

import msgspec
from aiohttp import web
from msgspec import UNSET

from inspection.letters import headers_of
from jobs.model import JobId
from log.reader import Record
from web import render, shapes
from web.letters import told
from web.places import format_places, parse_places
from web.problems import NotFound, Unavailable
from web.query import DeadQuery, read
from web.reading import NotRead, record
from web.site import JobsView

READ_S = 5.0
_NULL = msgspec.Raw(b"null")
_any = msgspec.json.Decoder()


class JobRecord(JobsView):
    """``GET /job/{id}/record``."""

    async def get(self, request: web.Request, id: str) -> web.Response:
        """A job's record as it stands in the log. ``value`` is its JSON; where it is none,
        ``value`` is null and ``text`` has it. Any worker reads it."""
        job_id = self.site.lookup.parse(id)
        topic = self.site.parts.names.jobs
        try:
            found = await record(self.site.parts.reader, topic, *job_id, READ_S)
        except NotRead as exc:
            raise Unavailable(f"{exc}; try again", id=id) from None
        if found is None:
            raise NotFound(
                f"there is no record at offset {job_id.offset} of {topic}, partition "
                f"{job_id.partition}: it has expired, or never was",
                id=id,
            )
        return render.answer(_told(job_id, topic, found))


class Dead(JobsView):
    """``GET /job/dead``."""

    async def get(self, request: web.Request) -> web.Response:
        """Dead letters of all partitions, the newest first; the cursor leads back in time. Any
        worker reads them."""
        limit = read(request.query, DeadQuery).limit
        before = parse_places(request.query.get("cursor"))
        partitions = self.site.parts.lifecycle.partitions
        try:
            letters, places = await self.site.letters.newest(partitions, before, limit)
        except NotRead as exc:
            raise Unavailable(f"{exc}; try again, or with a smaller limit") from None
        following = None if places is None else format_places(places)
        listed = [told(each) for each in letters]
        return render.answer(shapes.DeadLetters(letters=listed, next=following))


def _told(job_id: JobId, topic: str, found: Record) -> shapes.JobRecord:
    value, text = _NULL, UNSET if found.value is None else found.value.decode("utf-8", "replace")
    if found.value is not None:
        try:
            str(found.value, "utf-8")
            _any.decode(found.value)
            value, text = msgspec.Raw(found.value), UNSET  # as it stands: no number loses digits
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    return shapes.JobRecord(
        id=str(job_id),
        topic=topic,
        partition=job_id.partition,
        offset=job_id.offset,
        timestamp=render.time(found.timestamp),
        key=None if found.key is None else found.key.decode("utf-8", "replace"),
        headers=headers_of(found.headers),
        value=value,
        text=text,
    )
