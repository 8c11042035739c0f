"""Job functions by name: ``@handler`` puts one in, a worker looks it up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jobs.durations import parse_duration
from jobs.model import JobId

DEFAULT_HANDLER = "simulate"  # what a record gets that names none: the seed's simulated work


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler may know of the attempt that it is.

    ``job_id`` and ``attempt`` (counted from 1) together are an idempotency key:
    after a crash the same attempt may run once more.
    """

    job_id: JobId
    attempt: int
    max_attempts: int


Function = Callable[[Context, Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Handler:
    """A job function and its options; ``None`` leaves the worker's value."""

    name: str
    function: Function
    timeout_ns: int | None = None
    reruns: int | None = None


class Registry:
    """Handlers by name."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def add(self, handler: Handler) -> None:
        """Put a handler in.

        Raises:
            ValueError: the name is taken; two functions of one name are a mistake.
        """
        if handler.name in self._handlers:
            raise ValueError(f"a handler named {handler.name!r} is registered already")
        self._handlers[handler.name] = handler

    def get(self, name: str) -> Handler | None:
        """The handler of this name, or ``None``."""
        return self._handlers.get(name)

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._handlers.values())

    def names(self) -> str:
        """All names, for messages."""
        return ", ".join(sorted(self._handlers)) or "none"


HANDLERS = Registry()
"""The handlers of this process; ``@handler`` fills it on import."""


def handler(
    name: str, *, timeout: int | str | None = None, reruns: int | None = None
) -> Callable[[Function], Function]:
    """Register ``async def function(ctx, data)`` under ``name``.

    ``timeout`` limits one attempt (integer nanoseconds, or text like ``"30s"``);
    ``reruns`` is how many follow a failed first attempt. A record's own win over both.

    Raises:
        InvalidDuration: ``timeout`` can't be read.
        ValueError: the name is taken, or an option makes no sense.
    """
    timeout_ns = None if timeout is None else parse_duration(timeout)
    if timeout_ns is not None and timeout_ns <= 0:
        raise ValueError(f"handler {name!r}: timeout must be more than 0, not {timeout!r}")
    if reruns is not None and reruns < 0:
        raise ValueError(f"handler {name!r}: reruns must be at least 0, not {reruns}")

    def register(function: Function) -> Function:
        HANDLERS.add(Handler(name, function, timeout_ns, reruns))
        return function

    return register
