"""What the answers show, as types: they are filled, sent, and described by ``/openapi.json``.

A field that comes later has a default: while a group is renewed, workers of two versions ask each
other. What is ``UNSET`` is left out of the answer.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from jobs.model import Status

# Narrower than what is read: real topics have no places of 10 and 19 digits.
ID_PATTERN = "^(0|[1-9][0-9]{0,8})-(0|[1-9][0-9]{0,17})$"
_PLACE = ID_PATTERN.strip("^$")
PLACES_PATTERN = rf"^{_PLACE}(\.{_PLACE})*$"

_STATES = "|".join(Status)
STATES_PATTERN = f"^({_STATES})(,({_STATES}))*$"


def described(text: str, **schema: object) -> Meta:
    """What is told of a type, and isn't checked when an answer is read."""
    return Meta(description=text, extra_json_schema=schema)


Id = Annotated[
    str, described("A job's id: `partition-offset`, its place in the topic", pattern=ID_PATTERN)
]
Time = Annotated[str, described("RFC 3339 in UTC, to the millisecond", format="date-time")]
Count = Annotated[int, Meta(extra_json_schema={"minimum": 0})]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem document (RFC 9457): what is wrong, and what to do."""

    type: str
    title: Annotated[str, described("The status in words")]
    status: Annotated[int, described("The HTTP status")]
    detail: Annotated[str, described("For whoever reads it: what is wrong, and what to do")]
    instance: Annotated[str, described("The path that was asked for")]
    field: Annotated[str, described("The field or parameter that is wrong")] | UnsetType = UNSET
    id: Annotated[str, described("The job that it is about")] | UnsetType = UNSET


class Short(msgspec.Struct, frozen=True, kw_only=True):
    """A job's id and state."""

    id: Id
    status: Status


class Accepted(Short, frozen=True, kw_only=True):
    """What has become a job."""

    replay_of: Annotated[str, described("The job that this one repeats")] | UnsetType = UNSET


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a running handler says it is."""

    fraction: float | None
    note: str | None


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    id: Id
    status: Status
    handler: Annotated[str, described("Which function runs it")] | None
    attempt: Annotated[int, described("The attempts that were begun", minimum=0)]
    max_attempts: Annotated[int, described("How many it may have", minimum=1)]
    submitted_at: Time | None
    started_at: Time | None
    finished_at: Time | None
    next_attempt_at: Annotated[Time, described("When it is due, if it waits for that")] | None
    error: Annotated[str, described("What the last attempt failed of")] | None


class JobInList(_Job, frozen=True, kw_only=True):
    """A job as it stands in a list."""

    worker: Annotated[str, described("Who ran the last attempt")] | None
    replay_of: Annotated[str, described("The job that this one repeats")] | UnsetType = UNSET


class JobStatus(_Job, frozen=True, kw_only=True):
    """All that is told of one job. What it doesn't have, from `trace` on, is left out."""

    result: Annotated[msgspec.Raw, described("What the handler returned, any JSON value")]
    progress: Progress | None
    worker: Annotated[str, described("Who ran the last attempt")] | None
    trace: Annotated[str, described("Where the handler raised")] | UnsetType = UNSET
    parent: Annotated[str, described("The job that submitted this one")] | UnsetType = UNSET
    replay_of: Annotated[str, described("The job that this one repeats")] | UnsetType = UNSET
    schedule: Annotated[str, described("The schedule whose run this is")] | UnsetType = UNSET
    scheduled_at: Annotated[Time, described("Which of its times")] | UnsetType | None = UNSET
    result_truncated: Literal[True] | UnsetType = UNSET
    result_bytes: Annotated[int, described("The whole size of a cut result")] | UnsetType = UNSET


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an event `transition`."""

    id: Id
    status: Status
    handler: str | None
    attempt: int
    max_attempts: int
    submitted_at: Time | None
    started_at: Time | None
    finished_at: Time | None
    error: str | None
    worker: str | None
    at: Annotated[Time, described("When it happened")] | None


class Writer(msgspec.Struct, frozen=True):
    """Which owner of the partition wrote a row: the higher number counts."""

    number: int
    instance: str


class PastTransition(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a job, and where it stands in the changelog."""

    at: Annotated[Time, described("When it was written")] | None
    status: Status
    attempt: int
    error: str | None
    worker: str | None
    next_attempt_at: Time | None
    fence: Writer
    partition: Count
    offset: Annotated[int, described("Its place in the changelog", minimum=0)]


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a job, oldest first."""

    id: Id
    topic: Annotated[str, described("The changelog's name")]
    transitions: list[PastTransition]
    complete: Annotated[bool, described("Whether it goes back to the job's beginning")]
    detail: Annotated[str, described("What is missing, and why")] | UnsetType = UNSET


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A job's record, as it stands in the log."""

    id: Id
    topic: str
    partition: Count
    offset: Count
    timestamp: Time | None
    key: str | None
    headers: dict[str, str | None]
    value: Annotated[msgspec.Raw, described("Its JSON; null if it is none")]
    text: Annotated[str, described("What isn't JSON")] | UnsetType = UNSET


class Source(msgspec.Struct, frozen=True):
    """Where a dead letter's record stood."""

    topic: str
    partition: int
    offset: int


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """What can't be run, or has used up its reruns."""

    partition: Annotated[int, described("Its place on the topic of dead letters", minimum=0)]
    offset: Count
    id: Annotated[str, described("The job; none if the record was of another topic")] | None
    at: Time | None
    reason: str
    source: Source | None
    handler: str | None
    attempts: int | None


class DeadLetters(msgspec.Struct, frozen=True, kw_only=True):
    """A page of dead letters, the newest first."""

    letters: list[DeadLetter]
    next: Annotated[str, described("The cursor of the page that follows")] | None


class Missing(msgspec.Struct, frozen=True):
    """Partitions that are not in an answer, or not all of them, and why.

    `worker` is the address of the one that should have told; null: nobody.
    """

    worker: str | None
    partitions: list[int]
    reason: str


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of jobs, in the order of their ids."""

    jobs: list[JobInList]
    next: Annotated[str, described("The `cursor` of the next page; null: it was the last")] | None
    missing: list[Missing]


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Requests can be sent here."""

    status: Literal["ready"] = "ready"
    partitions: Annotated[list[int], described("Those that this worker serves")]
