"""The nouns: a job's id, its request as it came on the wire, and its row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from jobs.errors import InvalidId

MAX_PARTITION = 2**31 - 1  # int32 in Kafka's protocol
MAX_SCHEDULE_NAME = 100  # characters
MAX_OFFSET = 2**63 - 1  # int64 in Kafka's protocol
SCHEDULE_HEADER = "schedule"
SCHEDULED_AT_HEADER = "scheduled-at"
_ID = re.compile(r"(0|[1-9]\d{0,9})-(0|[1-9]\d{0,18})", re.ASCII)


class JobId(NamedTuple):
    """A job's place in the topic ``jobs``: partition and offset."""

    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> JobId:
        """Read ``"3-1042"``.

        Raises:
            InvalidId: any other form, leading zeros included (one job, one id).
        """
        match = _ID.fullmatch(text)
        if match is None:
            raise InvalidId(text)
        job_id = cls(int(match[1]), int(match[2]))
        if job_id.partition > MAX_PARTITION or job_id.offset > MAX_OFFSET:
            raise InvalidId(text)
        return job_id

    def __str__(self) -> str:
        return f"{self.partition}-{self.offset}"


class Status(StrEnum):
    """The five states, in the owner's words."""

    __hash__ = str.__hash__  # Enum's own is Python code, and several dicts a row have it as key

    final: bool  # whether the state never changes again

    WAITING = "waiting"
    EXECUTING = "executing"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


for _status in Status:
    # An attribute of each, and no property: each row is asked, several times.
    _status.final = _status in (Status.DONE, Status.FAILED, Status.CANCELED)


class JobRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A job as it was asked for, checked. Unknown fields stay in the record, for replay.

    Units: ``timeout_ns`` and ``delay_ns`` nanoseconds; ``run_at`` an aware time.
    ``None`` means: not asked for, the handler's or the worker's value counts.
    """

    data: msgspec.Raw
    timeout_ns: int | None = None
    ttl: int | None = None
    handler: str | None = None
    delay_ns: int | None = None
    run_at: datetime | None = None
    parent: str | None = None  # the id of the job that submitted this one


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A row of the table: all that is known of one job.

    Times are epoch milliseconds; ``submitted_at`` is the record's timestamp,
    and with the id says which record this row is about (a topic that was made
    again starts at offset 0). ``attempt`` counts the attempts that were begun
    and not interrupted. Only ``jobs.state`` makes rows with another status.
    """

    status: Status
    submitted_at: int
    handler: str = ""
    attempt: int = 0
    max_attempts: int = 3
    timeout_ns: int | None = None
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    started_at: int | None = None
    finished_at: int | None = None
    next_attempt_at: int | None = None
    error: str | None = None
    trace: str | None = None  # where the handler raised, the last frames
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    result_bytes: int | None = None  # set when the result was cut: its whole size
    crashes: int = 0  # deaths in a row, of its worker or its process, while it was executing
    worker: str | None = None  # who ran the last attempt
    parent: str | None = None  # the id of the job that submitted this one
    schedule: str | None = None  # whose run this is
    scheduled_at: int | None = None  # which of its times
    traceparent: str | None = None  # of who submitted it; none in final rows
    key: str | None = None  # its Idempotency-Key
    digest: str | None = None  # what the key stands for, see ``jobs.labels``
    replay_of: str | None = None  # the id of the job that this one repeats

    @property
    def scoped_key(self) -> str | None:
        """The key as it is looked up; ``None``: there is none."""
        return scoped(self.key, self.replay_of)

    @property
    def next_attempt(self) -> int:
        """The number that the next attempt will have."""
        return self.attempt + 1


def scoped(key: str | None, replay_of: str | None) -> str | None:
    """A key as it is looked up: replays of each job have keys of their own. No key and no id
    has a line feed."""
    return key if key is None or replay_of is None else f"{key}\n{replay_of}"


class ScheduledRun(NamedTuple):
    """One scheduled run: of which schedule, and for which of its times (epoch ms)."""

    schedule: str
    at: int

    def headers(self) -> list[tuple[str, bytes]]:
        """How the record of its job says so."""
        return [(SCHEDULE_HEADER, self.schedule.encode()), (SCHEDULED_AT_HEADER, b"%d" % self.at)]

    @classmethod
    def of(cls, headers: Sequence[tuple[str, bytes | None]]) -> ScheduledRun | None:
        """Read a record's headers; ``None``: it is no scheduled job."""
        if not headers:
            return None  # as nearly all records
        found = dict(headers)
        try:
            called, at = found[SCHEDULE_HEADER], found[SCHEDULED_AT_HEADER]
            name = "" if called is None else called.decode()
        except (KeyError, UnicodeDecodeError):
            return None
        if not (1 <= len(name) <= MAX_SCHEDULE_NAME and at and at.isdigit() and len(at) <= 15):
            return None
        return cls(name, int(at))


class Malformed(msgspec.Struct, frozen=True, gc=False):
    """A record that can't become a job, and why."""

    reason: str
    handler: str = ""
