"""What a worker and a handler's process say to each other. All of it can be pickled."""

from __future__ import annotations

from typing import NamedTuple

from jobs.model import JobId


class Prepare(NamedTuple):
    """Import a handler's module. The answer is ``Ready``."""

    module: str


class Ready(NamedTuple):
    """The module that was asked for is imported, or why it can't be; then the process ends."""

    failure: Answer | None = None


class Call(NamedTuple):
    """What a process needs to run an attempt. ``level``: log records below it aren't wanted;
    ``hooks``: the modules that register ``@startup`` functions; ``traced``: service and worker,
    if its handlers' spans are to be sent."""

    module: str
    handler: str
    job_id: JobId
    attempt: int
    max_attempts: int
    data: bytes
    submitted_at_ms: int
    timeout_s: float | None = None
    level: int = 0
    hooks: tuple[str, ...] = ()
    traceparent: str | None = None
    traced: tuple[str, str] | None = None
    rehearsal: bool = False


class Begun(NamedTuple):
    """The process has the call, and runs the handler's code from here on."""


class Answer(NamedTuple):
    """What came of it: a result as JSON, or an error. ``steering``: ``retry`` or ``discard``."""

    result: bytes | None = None
    error: str = ""
    trace: str = ""
    steering: str = ""
    delay_ns: int | None = None
    worth_a_rerun: bool = True


class Progress(NamedTuple):
    """How far the attempt is."""

    fraction: float
    note: str


class Log(NamedTuple):
    """A record of the handler's logger, its text complete. ``fields``: of its attempt."""

    level: int
    text: str
    created: float
    pathname: str
    line: int
    function: str
    exception: str = ""
    fields: tuple[tuple[str, str | int], ...] = ()


class Submit(NamedTuple):
    """Submit a follow-up: its request as JSON. The process waits for ``Submitted``."""

    request: bytes


class Submitted(NamedTuple):
    """A follow-up's id, or why there is none. ``invalid``: the request, else Kafka, is the
    reason; ``field`` as in ``InvalidRequest``."""

    job_id: JobId | None = None
    error: str = ""
    invalid: bool = False
    field: str | None = None


FromProcess = Ready | Begun | Answer | Progress | Log | Submit
