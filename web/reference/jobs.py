"""The calls about jobs."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from jobs.codec import WireRequest
from web import shapes
from web.query import DeadQuery, EventsQuery, ListQuery, WaitQuery
from web.reference.model import Answer, Call
from web.shapes import described
from web.wire import CancelBody

_LOCATION = {"Location": "The path of the job's status"}
_REPLAYED = {"Idempotency-Replayed": "`true` if the key had the job before"}
_ID = "$response.body#/id"
_FOLLOW = {"getJob": _ID, "cancelJob": _ID}
_NO_ID = "The id isn't `partition-offset`, or the query has a parameter that isn't there"
_NO_JOB = "There is no such job, or it has expired"
_LATER = "The job's owner can't answer now: it recovers, or Kafka can't be reached"
_JOB = {
    "id": "3-1042",
    "status": "done",
    "handler": "echo",
    "attempt": 1,
    "max_attempts": 3,
    "submitted_at": "2026-11-25T07:00:00.000Z",
    "started_at": "2026-11-25T07:00:00.012Z",
    "finished_at": "2026-11-25T07:00:00.013Z",
    "next_attempt_at": None,
    "error": None,
}


class CancelHeaders(msgspec.Struct, kw_only=True, rename={"user": "X-Jobs-User"}):
    """Of a cancel."""

    user: (
        Annotated[str, described("Who asks; the address of the client unless given")] | UnsetType
    ) = UNSET


class EventsHeaders(msgspec.Struct, kw_only=True, rename={"last": "Last-Event-ID"}):
    """Of those who listen."""

    last: Annotated[str, described("The id of the last event, to go on behind it")] | UnsetType = (
        UNSET
    )


class SubmitHeaders(
    msgspec.Struct,
    kw_only=True,
    rename={"key": "Idempotency-Key", "traceparent": "traceparent"},
):
    """Of a submission."""

    key: (
        Annotated[
            str,
            described(
                "The same key and body are the same job, for as long as it is kept",
                minLength=1,
                maxLength=255,
                pattern="^[!-~]([ -~]*[!-~])?$",
            ),
        ]
        | UnsetType
    ) = UNSET
    traceparent: (
        Annotated[str, described("W3C trace context, which the job carries on")] | UnsetType
    ) = UNSET


class RetryHeaders(msgspec.Struct, kw_only=True, rename={"key": "Idempotency-Key"}):
    """Of a retry."""

    key: (
        Annotated[
            str,
            described(
                "The same key is the same new job; of this job alone",
                minLength=1,
                maxLength=255,
                pattern="^[!-~]([ -~]*[!-~])?$",
            ),
        ]
        | UnsetType
    ) = UNSET


CALLS = {
    ("POST", "/job"): Call(
        name="submitJob",
        tag="jobs",
        summary="Submit a job",
        text="Answered once Kafka has it. All fields are optional, and an empty body is a job, "
        "too. Unknown fields are ignored and stay in the record. The body is read as JSON also "
        "under curl's `application/x-www-form-urlencoded`.",
        curl="""curl -i {url}/job -d '{{"handler": "echo", "data": "hello"}}'""",
        query=WaitQuery,
        headers=SubmitHeaders,
        body=WireRequest,
        body_example={"handler": "echo", "data": "hello", "timeout": "3s"},
        answers={
            200: Answer(
                text="With `wait`: the job is final already",
                shape=shapes.JobStatus,
                headers=_LOCATION,
                at_times=_REPLAYED,
                example={**_JOB, "result": "hello", "progress": None, "worker": "a:8080"},
            ),
            202: Answer(
                text="Kafka has the job",
                shape=shapes.Accepted,
                headers=_LOCATION,
                at_times=_REPLAYED,
                example={"id": "3-1042", "status": "waiting"},
                links=_FOLLOW,
            ),
        },
        problems={
            400: "The body isn't JSON, or no object",
            408: "The body takes too long",
            413: "The body is too large",
            415: "The body is of a kind that can't be JSON",
            422: "A field is wrong; `field` names it. Or the key was used with another body",
            429: "More jobs come than `JOBS_SUBMIT_RATE` lets the worker take",
            503: "Kafka can't be reached, or the worker stops. The job may have been accepted",
        },
    ),
    ("GET", "/job/all"): Call(
        name="listJobs",
        tag="jobs",
        summary="List jobs of all workers",
        text="In the order of their ids, or the newest first, page by page. With filters a page "
        "may have fewer jobs than `limit`, or none, and still have a `next`: go on until "
        "that is null. A worker that doesn't answer is named in `missing`.",
        curl="curl '{url}/job/all?status=done&limit=1'",
        query=ListQuery,
        answers={
            200: Answer(
                text="A page",
                shape=shapes.JobList,
                example={"jobs": [{**_JOB, "worker": "a:8080"}], "next": "3-1042", "missing": []},
            )
        },
        problems={400: "A parameter is wrong; `field` names it"},
    ),
    ("GET", "/job/events"): Call(
        name="listenToJobs",
        tag="jobs",
        summary="What happens to jobs, as it happens",
        text="Server-sent events, of jobs of all workers. `event: transition` has a `Transition` "
        "as its data, `event: problem` a `detail`, and `event: recovered` says that it is over; a "
        "comment comes every 15 s. The id of the last event is taken up again at any worker. With "
        "more than 1,000 partitions there are no ids.",
        curl="curl -N -m 20 {url}/job/events",
        query=EventsQuery,
        headers=EventsHeaders,
        answers={
            200: Answer(
                text="The events, without end",
                shape=shapes.Transition,
                media="text/event-stream",
            )
        },
        problems={400: "A parameter is wrong; `field` names it"},
    ),
    ("GET", "/job/{id}/status"): Call(
        name="getJob",
        tag="jobs",
        summary="How a job is doing, and its result",
        text="With `wait` it is answered when the job is final or the wait is over.",
        curl="curl '{url}/job/0-0/status?wait=1s'",
        query=WaitQuery,
        answers={
            200: Answer(
                text="The job",
                shape=shapes.JobStatus,
                example={**_JOB, "result": "hello", "progress": None, "worker": "a:8080"},
            )
        },
        problems={400: _NO_ID, 404: _NO_JOB, 503: _LATER},
    ),
    ("GET", "/job/dead"): Call(
        name="listDeadLetters",
        tag="jobs",
        summary="What can't be run, or has used up its reruns",
        text="The newest first; the cursor leads back in time. `POST /job/{id}/retry` runs one "
        "again, also when its job's row has expired.",
        curl="curl '{url}/job/dead?limit=10'",
        query=DeadQuery,
        answers={200: Answer(text="A page", shape=shapes.DeadLetters)},
        problems={400: "A parameter is wrong; `field` names it", 503: "Kafka can't be read"},
    ),
    ("GET", "/job/{id}/record"): Call(
        name="getRecord",
        tag="jobs",
        summary="A job's record, as it stands in the log",
        curl="curl {url}/job/0-0/record",
        answers={200: Answer(text="The record", shape=shapes.JobRecord)},
        problems={
            400: _NO_ID,
            404: "There is no record at this place, or it has expired",
            503: "Kafka can't be read",
        },
    ),
    ("POST", "/job/{id}/retry"): Call(
        name="retryJob",
        tag="jobs",
        summary="A failed or canceled job again, as a new one",
        text="With the same data and options. Two requests make two jobs, unless they have the "
        "same `Idempotency-Key`.",
        curl="curl -X POST {url}/job/0-0/retry",
        headers=RetryHeaders,
        answers={
            202: Answer(
                text="Kafka has the new job",
                shape=shapes.Accepted,
                headers=_LOCATION,
                at_times=_REPLAYED,
                example={"id": "3-2001", "status": "waiting", "replay_of": "3-1042"},
                links=_FOLLOW,
            )
        },
        problems={
            400: "The id isn't `partition-offset`, or the key can't be one",
            404: _NO_JOB,
            409: "It is waiting, executing or done",
            408: "The body takes too long",
            410: "What it was asked for has left the log",
            413: "The body is too large",
            415: "The body is of a kind that can't be JSON",
            422: "It would fail again, for what `field` names",
            429: "More jobs come than `JOBS_SUBMIT_RATE` lets the worker take",
            503: _LATER,
        },
    ),
    ("GET", "/job/{id}/history"): Call(
        name="getHistory",
        tag="jobs",
        summary="What became of a job, from its rows in the changelog",
        text="Oldest first. The changelog keeps all rows for `JOBS_HISTORY`, and the last one for "
        "as long as the job: what is gone is said in `detail`, and `complete` is false.",
        curl="curl {url}/job/0-0/history",
        answers={200: Answer(text="Its transitions", shape=shapes.History)},
        problems={400: _NO_ID, 404: _NO_JOB, 503: _LATER},
    ),
    ("POST", "/job/{id}/cancel"): Call(
        name="cancelJob",
        tag="jobs",
        summary="Stop a job for good",
        text="A waiting job is canceled at once, an executing one has its attempt stopped. "
        "Canceling twice is no fault.",
        curl="""curl -X POST {url}/job/0-0/cancel -d '{{"why": "not needed"}}'""",
        headers=CancelHeaders,
        body=CancelBody,
        body_example={"why": "not needed"},
        answers={
            200: Answer(
                text="It is canceled",
                shape=shapes.Short,
                example={"id": "3-1042", "status": "canceled"},
            ),
            202: Answer(
                text="It is asked for, and takes longer than a second",
                shape=shapes.Short,
                headers=_LOCATION,
                example={"id": "3-1042", "status": "executing"},
            ),
        },
        problems={
            400: "No id, or the body isn't a JSON object",
            404: _NO_JOB,
            409: "It is done or failed; that stays",
            413: "The body is too large",
            415: "The body is of a kind that can't be JSON",
            422: "`why` is wrong",
            503: f"{_LATER}. It may be canceled all the same",
        },
    ),
}
