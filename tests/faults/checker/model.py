"""What was recorded of a run, as plain data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

FINAL = frozenset({"done", "failed", "canceled"})
TOPICS = ("jobs", "retry", "cancel", "dead", "changelog")
_ID = re.compile(r"(0|[1-9]\d*)-(0|[1-9]\d*)", re.ASCII)
_ONE_JOB = re.compile(r"/job/(\d+-\d+)/(status|cancel)", re.ASCII)


def place(job: str) -> tuple[int, int]:
    """``"3-1042"`` as partition and offset.

    Raises:
        ValueError: it is no id.
    """
    match = _ID.fullmatch(job)
    if match is None:
        raise ValueError(f"no job has the id {job!r}")
    return int(match[1]), int(match[2])


class Record(NamedTuple):
    """A record of a topic. ``timestamp``: epoch ms."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]

    @property
    def job(self) -> str:
        """The id of the job at this place, for a record of ``jobs``."""
        return f"{self.partition}-{self.offset}"

    @property
    def idempotency_key(self) -> bytes:
        """The key that it was submitted under, for a record of ``jobs``; empty if under none."""
        return self.headers.get("idempotency-key", b"")


@dataclass(frozen=True, kw_only=True)
class Call:
    """An HTTP request, or a record produced, with what came of it.

    ``begin`` and ``end`` are seconds of the monotonic clock, which all processes of a machine
    share; ``at`` is the wall clock at ``begin``, epoch seconds. A produced record has the method
    ``PRODUCE``, its topic as path, the id of its place in ``answer`` and the status 0 once it is
    acknowledged. ``status`` is ``None`` when there was no answer; then ``error`` says why.
    """

    client: str
    begin: float
    end: float
    at: float
    method: str
    path: str
    worker: str = ""
    body: str | None = None
    forwarded: bool = False  # asked as workers ask each other: for one worker's own part
    status: int | None = None
    answer: Any = None
    error: str | None = None
    line: int = 0  # of the file, for evidence

    @cached_property
    def job(self) -> str | None:
        """The job that a status or a cancel is about."""
        match = _ONE_JOB.fullmatch(self.path)
        return match[1] if match else None

    @property
    def is_status(self) -> bool:
        """Whether a job's status is asked for."""
        return self.method == "GET" and self.job is not None

    @property
    def is_cancel(self) -> bool:
        """Whether a job is to be canceled, over HTTP."""
        return self.method == "POST" and self.job is not None

    @property
    def is_list(self) -> bool:
        """Whether it asks for a page of the list."""
        return self.method == "GET" and self.path.partition("?")[0] == "/job/all"

    @property
    def _is_page(self) -> bool:
        return self.is_list and self.status == 200

    @cached_property
    def query(self) -> dict[str, str]:
        """The query string's values."""
        return {k: v[-1] for k, v in parse_qs(urlsplit(self.path).query).items()}

    @cached_property
    def accepted(self) -> str | None:
        """The id of the job that this call submitted and was told of."""
        posted = self.method == "POST" and self.path == "/job" and self.status == 202
        produced = self.method == "PRODUCE" and self.path == "jobs" and self.status == 0
        return str(self.answer["id"]) if posted or produced else None

    @cached_property
    def canceled(self) -> str | None:
        """The id of the job that this call asked to cancel, where it was told that this is asked
        for. A record that can't be read, or isn't in its job's partition, asks for nothing."""
        if self.is_cancel:
            return self.job if self.status in (200, 202) else None
        if self.method != "PRODUCE" or self.path != "cancel" or self.status != 0:
            return None
        try:
            asked = json.loads(self.body or "")
            job, others = str(asked["id"]), (asked.get("who", ""), asked.get("why", ""))
            there = place(job)[0] == place(str(self.answer["id"]))[0]
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return job if there and all(isinstance(each, str) for each in others) else None

    def __str__(self) -> str:
        answer = f"{len(self.answer['jobs'])} jobs" if self._is_page else json.dumps(self.answer)
        told = self.error or f"{self.status} {answer[:200]}"
        return f"line {self.line}: {self.client} {self.method} {self.path} at {self.worker}: {told}"


@dataclass(kw_only=True)
class Run:
    """One run of a handler, as it wrote itself down. Times are the monotonic clock's seconds,
    ``at`` the wall's. ``last`` is the latest time at which it surely still ran; ``ended`` says
    whether that is its end, or no end was written (its process was killed)."""

    job: str
    attempt: int
    pid: int
    worker: str  # the port of its worker
    begin: float
    at: float
    last: float
    ended: bool = False
    line: int = 0

    def __str__(self) -> str:
        until = f"{self.last:.3f}" if self.ended else "no end"
        return (
            f"journal line {self.line}: attempt {self.attempt} in process {self.pid} of worker "
            f"{self.worker}, {self.begin:.3f} to {until}"
        )


@dataclass(frozen=True, kw_only=True)
class Event:
    """What was done to a worker. ``what``: ``kill`` (it died at once) or any other word;
    ``worker``: the ending of its name in the rows, such as its port; ``at``: epoch seconds."""

    what: str
    worker: str
    at: float


@dataclass(kw_only=True)
class History:
    """All that was recorded of a run.

    ``topics`` by the names of ``TOPICS``; ``calls`` of the clients; ``served``: what was asked
    of workers after the end, at rest; ``runs`` of handlers.
    """

    partitions: int
    topics: dict[str, list[Record]]
    calls: list[Call] = field(default_factory=list)
    served: list[Call] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class Violation(NamedTuple):
    """A promise that was not kept: which rule, which job (empty: none in particular), and the
    evidence."""

    rule: str
    job: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule} {self.job or '-'}: {self.text}"
