"""The views of jobs: submit, status, list, cancel."""

from __future__ import annotations

import msgspec
from aiohttp import web
from aiokafka.errors import MessageSizeTooLargeError
from faust.exceptions import NotReady

from agents.admission import check
from agents.cancels import MAX_WHY_CHARS
from jobs.codec import decode_request
from jobs.errors import InvalidRequest, not_json
from jobs.labels import Labels, partition_of
from jobs.model import Job, JobId, Status
from jobs.registry import HANDLERS
from jobs.trace import TRACEPARENT, traceparent
from log.writer import NotWritten
from web import keyed, render
from web.listing import Query
from web.owner import FORWARDED, USER
from web.problems import BadRequest, Conflict, TooLarge, TooMany, Unavailable, Unprocessable
from web.site import JobsView, Site
from web.waiting import wait_seconds
from web.wire import CancelBody

WRITE_S = 5.0
CANCEL_WAIT_S = 1.0
MAX_WHO_CHARS = 100


class SubmitJob(JobsView):
    """``POST /job``."""

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Put a job on the topic; answered when Kafka has it. ``?wait=``: 200 with the whole
        job if it is final by then.

        With an ``Idempotency-Key``, the same key and body give the same job; the partition's owner
        decides, also in its drain.

        kill -9 before the answer: the job may be in the log, and runs. Its sender can't know,
        unless it has a key: then it asks again.
        """
        key = keyed.key_of(request)
        if key is None and self.site.parts.lifecycle.draining:
            raise Unavailable("this worker is stopping; ask another one, or try again")
        wait_s = wait_seconds(request)
        limit(self.site)
        body = await self.body(request)
        check_body(body)
        answer = await self._accept(request, body or b"{}", key)
        # An owner that is asked by another worker leaves the waiting to it.
        if not wait_s or answer.status != 202 or FORWARDED in request.headers:
            return answer
        job_id = JobId.parse(answer.headers["Location"].split("/")[2])
        final = await self.site.waiting.submitted(request, job_id, wait_s)
        if final is None:
            return answer
        kept = ("Location", keyed.REPLAYED)
        headers = {name: answer.headers[name] for name in kept if name in answer.headers}
        return render.raw(final, headers=headers)

    async def _accept(self, request: web.Request, value: bytes, key: str | None) -> web.Response:
        parent = traceparent(request.headers.get(TRACEPARENT))
        if key is None:
            # Any worker may write to any partition, so nothing is forwarded.
            return keyed.accepted(*await write(self.site, value, parent=parent))
        partition = partition_of(key, self.site.parts.lifecycle.partitions)
        forwarded = await self.site.peers.elsewhere(request, partition)
        if forwarded is not None:
            return forwarded
        written = await write(self.site, value, key, partition=partition, parent=parent)
        return keyed.accepted(*written)


class JobStatus(JobsView):
    """``GET /job/{id}/status``."""

    async def get(self, request: web.Request, id: str) -> web.StreamResponse:
        """What is known of one job: now, or with ``?wait=`` (``30s``, at most 5 minutes) when it
        is final or the wait is over."""
        job_id = self.site.lookup.parse(id)
        wait_s = wait_seconds(request)
        if wait_s:
            status, body = await self.site.waiting.until_final(request, job_id, wait_s)
            return render.raw(body, status=status)
        forwarded = await self.site.peers.elsewhere(request, job_id.partition)
        if forwarded is not None:
            return forwarded
        job = await self.site.lookup.find(job_id)
        return render.answer(
            render.whole(job_id, job, self.site.parts.runner.callers.progress(job_id))
        )


class JobHistory(JobsView):
    """``GET /job/{id}/history``."""

    async def get(self, request: web.Request, id: str) -> web.StreamResponse:
        """Each transition of a job with its place in the changelog, oldest first. ``complete`` is
        false where older ones are gone, and ``detail`` says before which place."""
        job_id = self.site.lookup.parse(id)
        forwarded = await self.site.peers.elsewhere(request, job_id.partition)
        if forwarded is not None:
            return forwarded
        return render.answer(await self.site.histories.of(job_id))


class ListJobs(JobsView):
    """``GET /job/all``."""

    async def get(self, request: web.Request) -> web.Response:
        """A page of jobs over all workers, or of this one's if another worker asks.

        ``?status=`` and ``?handler=`` take several, with commas between; ``?error=`` is a part of
        the error's text, in any case. Jobs come in the order of their ids, or by
        ``?order=newest`` the youngest first, nearly: within a partition by place. A cursor goes
        with its order. When ``missing`` isn't empty, the same cursor again shows what was."""
        query = Query.parse(request.query)
        if FORWARDED in request.headers:
            return render.answer(await self.site.everyone.here(query))
        return render.answer(await self.site.everyone.list(request, query))


class CancelJob(JobsView):
    """``POST /job/{id}/cancel``."""

    async def post(self, request: web.Request, id: str) -> web.StreamResponse:
        """Ask for a job to be canceled, and wait a moment for it.

        kill -9 once the request is in the log: whoever owns the partition carries it out.
        """
        job_id = self.site.lookup.parse(id)
        why = _why(await self.body(request))
        forwarded = await self.site.peers.elsewhere(request, job_id.partition)
        if forwarded is not None:
            return forwarded
        job = await self.site.lookup.find(job_id)
        if not job.status.final:
            await self._ask(job_id, _who(request), why)
            job = await self._settled(job_id, job)
        if job.status in (Status.DONE, Status.FAILED):
            raise Conflict(
                f"job {job_id} is {job.status.value}; that is final and stays", id=str(job_id)
            )
        accepted = job.status is not Status.CANCELED
        return render.answer(
            render.short(job_id, job.status.value),
            status=202 if accepted else 200,
            headers=_location(job_id) if accepted else None,
        )

    async def _ask(self, job_id: JobId, who: str, why: str) -> None:
        try:
            await self.site.parts.cancels.ask(job_id, who, why, timeout_s=WRITE_S)
        except (NotWritten, NotReady) as exc:
            raise Unavailable(
                f"{exc}. The job may be canceled all the same", id=str(job_id)
            ) from None

    async def _settled(self, job_id: JobId, job: Job) -> Job:
        """The job when it is final, or as it was last seen."""
        return await self.site.waiting.settled(job_id, job, CANCEL_WAIT_S)


def limit(site: Site) -> None:
    """Count a submission.

    Raises:
        TooMany: more come than this worker is to take.
    """
    wait_s = site.submissions.take() if site.submissions is not None else 0.0
    if wait_s:
        raise TooMany(
            "more jobs come than JOBS_SUBMIT_RATE lets this worker take; try again later",
            retry_after_s=wait_s,
        )


async def write(
    site: Site,
    value: bytes,
    key: str | None = None,
    *,
    partition: int | None = None,
    replay_of: JobId | None = None,
    parent: str | None = None,
) -> tuple[JobId, Status, bool]:
    """Put a job on the topic; its id, its state, and whether its key has had it before.

    Args:
        parent: the request's ``traceparent``.

    Raises:
        TooLarge: the topic doesn't take it.
        Unavailable: Kafka doesn't acknowledge.
        Unprocessable: the key stands for another request.
    """
    try:
        if key is not None and partition is not None:
            return await keyed.submit(site, partition, value, key, replay_of, WRITE_S, parent)
        labels = Labels(replay_of=None if replay_of is None else str(replay_of))
        headers = labels.headers()
        send = site.parts.submitter.send
        job_id = await send(value, WRITE_S, headers=headers, traceparent=parent)
        return job_id, Status.WAITING, False
    except NotWritten as exc:
        if isinstance(exc.__cause__, MessageSizeTooLargeError):
            raise TooLarge(
                f"topic {site.parts.names.jobs} takes no record of {len(value)} bytes: raise its "
                "max.message.bytes, or lower JOBS_MAX_BODY"
            ) from None
        again = "" if key is None else ": ask again with the same key"
        raise Unavailable(f"{exc}. The job may have been accepted all the same{again}") from None
    except NotReady:
        raise Unavailable("this worker is starting or stopping; try again") from None


def check_body(body: bytes) -> None:
    """Whether a request can be a job.

    Raises:
        BadRequest: it can't be read.
        Unprocessable: names the field that is wrong.
    """
    try:
        check(decode_request(body), HANDLERS)
    except InvalidRequest as exc:
        if exc.field is None:
            raise BadRequest(str(exc)) from None
        raise Unprocessable(str(exc), field=exc.field) from None


def _why(body: bytes) -> str:
    if not body.strip():
        return ""
    try:
        return msgspec.json.decode(body, type=CancelBody).why or ""
    except msgspec.ValidationError as exc:
        if "`$.why`" in str(exc):
            text = f"why: must be text of at most {MAX_WHY_CHARS} characters"
            raise Unprocessable(text, field="why") from None
        raise BadRequest('the body must be a JSON object, such as {"why": "…"}') from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadRequest(not_json(exc)) from None


def _who(request: web.Request) -> str:
    who = request.headers.get(USER, "").strip() or request.remote or "somebody"
    return who.encode("utf-8", "replace").decode()[:MAX_WHO_CHARS]


def _location(job_id: JobId) -> dict[str, str]:
    return {"Location": f"/job/{job_id}/status"}
