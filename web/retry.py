"""A failed or canceled job again, as a new job that says whose replay it is."""

from __future__ import annotations

from aiohttp import web

from jobs.model import Job, JobId, Status
from web import keyed, reading
from web.api import check_body, limit, write
from web.problems import BadRequest, Conflict, Gone, NotFound, Unavailable, Unprocessable
from web.reading import NotRead
from web.site import JobsView

READ_S = 5.0


class RetryJob(JobsView):
    """``POST /job/{id}/retry``."""

    async def post(self, request: web.Request, id: str) -> web.StreamResponse:
        """Put the original of a failed or canceled job on the topic once more, as it was, with
        the header ``replay-of``. Two requests make two jobs, unless they have the same
        ``Idempotency-Key``; each job has its own.

        kill -9 before the answer: as with ``POST /job``.
        """
        job_id = self.site.lookup.parse(id)
        key = keyed.key_of(request)
        limit(self.site)
        await self.body(request)
        forwarded = await self.site.peers.elsewhere(request, job_id.partition)
        if forwarded is not None:
            return forwarded
        if key is None and self.site.parts.lifecycle.draining:
            raise Unavailable("this worker is stopping; try again", id=id)
        value = await self._original(job_id)
        try:
            check_body(value)
        except (BadRequest, Unprocessable) as exc:
            text = f"job {id} would fail again: {exc.detail}"
            raise Unprocessable(text, field=exc.field, id=id) from None
        made = await write(self.site, value, key, partition=job_id.partition, replay_of=job_id)
        return keyed.accepted(*made, replay_of=job_id)

    async def _original(self, job_id: JobId) -> bytes:
        try:
            job = await self.site.lookup.find(job_id)
        except NotFound:
            value = await self._of_letter(job_id, 0)  # the row is gone; a letter says it failed
            if value is None:
                raise
            return value
        if job.status not in (Status.FAILED, Status.CANCELED):
            raise Conflict(
                f"job {job_id} is {job.status.value}: only what has failed or was canceled can be "
                "retried",
                id=str(job_id),
            )
        value = await self._of_record(job_id, job)
        if value is None and job.status is Status.FAILED:
            value = await self._of_letter(job_id, job.finished_at or 0)
        if value is None:
            raise Gone(
                f"what job {job_id} was asked for has left the log: its record has expired, and "
                "no dead letter has it; submit it anew",
                id=str(job_id),
            )
        return value

    async def _of_record(self, job_id: JobId, job: Job) -> bytes | None:
        parts = self.site.parts
        try:
            found = await reading.record(parts.reader, parts.names.jobs, *job_id, READ_S)
        except NotRead as exc:
            raise Unavailable(f"{exc}; try again", id=str(job_id)) from None
        if found is None or found.timestamp != job.submitted_at:  # the topic was made again
            return None
        return _runnable(job_id, found.value)

    async def _of_letter(self, job_id: JobId, since_ms: int) -> bytes | None:
        try:
            letter = await self.site.letters.of_job(job_id, since_ms)
        except NotRead as exc:
            raise Unavailable(f"{exc}; try again", id=str(job_id)) from None
        if letter is None:
            return None
        if letter.left_out:
            raise Gone(
                f"what job {job_id} was asked for was too large for its dead letter, and its "
                "record has expired; submit it anew",
                id=str(job_id),
            )
        return _runnable(job_id, letter.value)


def _runnable(job_id: JobId, value: bytes | None) -> bytes:
    if not value:
        text = f"job {job_id} would fail again: its record is empty, and asks for nothing"
        raise Unprocessable(text, id=str(job_id))
    return value
