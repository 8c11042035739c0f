"""``Context``: what a handler may know of the attempt that it is, and do with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from jobs.codec import check_options, encode_field
from jobs.model import JobId
from jobs.resources import Resources

T = TypeVar("T")


def _nothing(fraction: float, note: str) -> None:
    """Where nobody looks at progress."""


async def _nowhere(request: dict[str, Any]) -> JobId:
    raise RuntimeError("this attempt can't submit jobs: there is no worker around it")


def _nowhere_sync(request: dict[str, Any]) -> JobId:
    raise RuntimeError("this attempt can't submit jobs: there is no worker around it")


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a job.

    ``attempt`` counts from 1 to ``max_attempts``. ``submitted_at_ms`` is the time of the job's
    record (epoch ms), ``stops_at`` when the attempt will be stopped (epoch seconds).
    ``traceparent`` is the trace that it belongs to, if any, for what it calls.
    ``rehearsal``: ``faust -A app rehearse`` runs it on what is in the log; it must leave the world
    alone, and its follow-ups are noted down and not sent.
    """

    job_id: JobId
    attempt: int
    max_attempts: int
    submitted_at_ms: int = 0
    stops_at: float | None = None
    rehearsal: bool = False
    traceparent: str | None = None
    logger: logging.Logger | logging.LoggerAdapter[Any] = msgspec.field(
        default_factory=lambda: logging.getLogger("jobs.handler")
    )
    resources: Resources = msgspec.field(default_factory=Resources)
    report: Callable[[float, str], None] = _nothing
    send: Callable[[dict[str, Any]], Coroutine[Any, Any, JobId]] = _nowhere
    send_sync: Callable[[dict[str, Any]], JobId] = _nowhere_sync
    stopped: Callable[[], bool] = lambda: False

    @property
    def key(self) -> str:
        """The job's idempotency key, the same in all its attempts: one that failed or timed out
        may have had its effect, and one that a crash broke off is begun again.

        It has the record's time, too: a topic that is made again begins with the same ids.
        """
        return f"{self.job_id}@{self.submitted_at_ms}"

    @property
    def deadline(self) -> datetime | None:
        """When the attempt will be stopped, UTC; ``None``: it has all the time."""
        return None if self.stops_at is None else datetime.fromtimestamp(self.stops_at, UTC)

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the deadline; ``None`` if there is none."""
        return None if self.stops_at is None else self.stops_at - time.time()

    @property
    def stopping(self) -> bool:
        """Whether the attempt has been stopped (timeout, cancel, shutdown). A ``def`` handler
        runs in a thread, which can't be stopped from outside: a long one looks here."""
        return self.stopped()

    def progress(self, fraction: float, note: str = "") -> None:
        """Say how far the attempt is, 0 to 1; ``GET /job/{id}/status`` shows the last word.

        Cheap, and callable from threads. It is not stored: a crash forgets it.
        """
        self.report(min(max(float(fraction), 0.0), 1.0), note)

    def get(self, kind: type[T]) -> T:
        """What a ``@startup`` function gave, by its type.

        Raises:
            LookupError: none gave one.
        """
        return self.resources.get(kind)

    def submit(self, handler: str, data: Any = None, **options: Any) -> Coroutine[Any, Any, JobId]:
        """Await it in an ``async def`` handler: submit a follow-up job, whose parent is this one;
        its id.

        An attempt that is begun again after a crash submits again: let the follow-up bear it.

        Args:
            data: what a handler may return, models and ``Struct`` too.
            options: ``timeout``, ``ttl``, ``delay``, ``run_at`` as on the wire.

        Raises:
            InvalidRequest: names the field that is wrong, or has no JSON form.
            TypeError: there is no such option.
            NotSubmitted: Kafka doesn't acknowledge; it may have been accepted all the same.
            RuntimeError: at once, in a ``def`` handler, which can't await it.
        """
        return self.send(self._request(handler, data, options))

    def submit_sync(self, handler: str, data: Any = None, **options: Any) -> JobId:
        """``submit`` for ``def`` handlers, in threads and in processes: it blocks until Kafka has
        the follow-up, and raises what ``submit`` raises.

        Raises:
            RuntimeError: in the event loop's own thread, which it would block.
        """
        return self.send_sync(self._request(handler, data, options))

    def _request(self, handler: str, data: Any, options: dict[str, Any]) -> dict[str, Any]:
        check_options(options)
        given = {**options, "handler": handler, "data": data}
        asked = {field: encode_field(field, value) for field, value in given.items()}
        return {**asked, "parent": str(self.job_id)}
