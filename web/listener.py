"""Somebody who listens to events, and events as they are sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from inspection.transitions import Transition
from jobs.errors import InvalidId
from jobs.model import JobId, Status
from web import render
from web.cursor import line
from web.problems import BadRequest

PENDING = 5_000  # events that a slow client may be behind
CHUNK = 200  # events written together at most


RECOVERED = b"event: recovered\ndata: {}\n\n"
"""What a ``problem`` was about while the stream stayed open is over."""


class Event:
    """A transition, encoded once for all who want it."""

    __slots__ = ("_encoded", "cursor", "transition")

    def __init__(self, transition: Transition, cursor: str) -> None:
        self.transition = transition
        self.cursor = cursor
        self._encoded: bytes | None = None

    def encoded(self) -> bytes:
        """As it is sent."""
        if self._encoded is None:
            id, _, at, job, _ = self.transition
            told = render.transition(id, job, at)
            self._encoded = b"%sevent: transition\ndata: %s\n\n" % (
                line(self.cursor),
                msgspec.json.encode(told),
            )
        return self._encoded


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which transitions somebody asks for; ``None``: all."""

    statuses: frozenset[Status] | None = None
    handler: str | None = None
    id: JobId | None = None

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Wanted:
        """Read a query string; parameters that are not ours are ignored.

        Raises:
            BadRequest: a value is wrong; names the parameter.
        """
        status, id = given.get("status"), given.get("id")
        try:
            statuses = None if status is None else frozenset(map(Status, status.split(",")))
        except ValueError:
            known = ", ".join(each.value for each in Status)
            text = f"status: must be one of {known}, or several with commas between"
            raise BadRequest(text, field="status") from None
        try:
            job_id = None if id is None else JobId.parse(id)
        except InvalidId as exc:
            raise BadRequest(f"id: {exc}", field="id") from None
        return cls(statuses, given.get("handler"), job_id)

    def matches(self, event: Event) -> bool:
        """Whether an event is asked for."""
        id, _, _, job, _ = event.transition
        return (
            (self.statuses is None or job.status in self.statuses)
            and (self.handler is None or job.handler == self.handler)
            and (self.id is None or id == self.id)
        )


class Listener:
    """One stream: what it is to be sent, as far as it keeps up."""

    def __init__(self, wanted: Wanted) -> None:
        self._all = wanted == Wanted()
        self._wanted = wanted
        self._pending: list[Event | bytes] = []
        self._news = asyncio.Event()
        self.slow = False
        self.closed = False

    def wants(self, event: Event) -> bool:
        """Whether an event is asked for."""
        return self._all or self._wanted.matches(event)

    def offer(self, events: Sequence[Event]) -> None:
        """Take the next events in, if it keeps up; one that doesn't gets no more."""
        some = events if self._all else [e for e in events if self._wanted.matches(e)]
        if not some or self.slow:
            return
        if len(self._pending) + len(some) > PENDING:
            self.slow = True  # all that is pending is without a gap: its last id can be taken up
        else:
            self._pending.extend(some)
        self._news.set()

    def tell(self, text: bytes) -> None:
        """Send it something that isn't a transition."""
        if not self.slow:
            self._pending.append(text)
            self._news.set()

    def close(self) -> None:
        """End the stream."""
        self.closed = True
        self._news.set()

    async def next(self, within_s: float) -> bytes:
        """What is to be sent next; nothing if it is slow or closed.

        Raises:
            TimeoutError: nothing within ``within_s``.
        """
        if not self._pending and not self.slow and not self.closed:
            self._news.clear()
            try:
                async with asyncio.timeout(within_s):
                    await self._news.wait()
            except TimeoutError:
                if not self._news.is_set():  # else both happened in the same moment
                    raise
        some, self._pending = self._pending[:CHUNK], self._pending[CHUNK:]
        return b"".join(e if isinstance(e, bytes) else e.encoded() for e in some)


def problem(detail: str) -> bytes:
    """What went wrong, for the one who listens. It has no id: the last one counts still."""
    return b"event: problem\ndata: %s\n\n" % msgspec.json.encode({"detail": detail})
