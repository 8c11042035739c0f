"""Job functions by name: ``@handler`` puts one in, a worker looks it up."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from jobs.errors import InvalidRequest
from jobs.limits import Rate
from jobs.options import Exceptions, Options
from jobs.retry import RetryPolicy
from jobs.typed import Decode, decoder_for, plain

DEFAULT_HANDLER = "simulate"  # what a record gets that names none: the seed's simulated work

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)


class Kind(StrEnum):
    """Where a handler runs."""

    ASYNC = "async"  # `async def`: in the event loop
    THREAD = "thread"  # `def`: in a thread, which nothing can stop from outside
    PROCESS = "process"  # in a process of its own: a timeout or a cancel kills it


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """A job function and its options; ``None`` leaves the worker's value."""

    name: str
    function: Function
    kind: Kind = Kind.ASYNC
    decode: Decode = plain
    timeout_ns: int | None = None
    reruns: int | None = None
    backoff: RetryPolicy | None = None
    max_size: int | None = None
    max_running: int | None = None
    rate: Rate | None = None
    rehearse: bool = False
    retry_on: Exceptions = (BaseException,)
    discard_on: Exceptions = ()

    @property
    def help(self) -> str:
        """The first line of its docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def check(self, data: msgspec.Raw) -> Any:
        """Data as the function gets it.

        Raises:
            InvalidRequest: it is too large, or not what the function's annotation says.
        """
        self._check_size(data)
        return self.decode(data)

    def verify(self, data: msgspec.Raw) -> None:
        """As ``check``, of data that is JSON for certain, where nobody needs what it becomes.

        Raises:
            InvalidRequest: as ``check``.
        """
        self._check_size(data)
        if self.decode is not plain:  # which takes any JSON
            self.decode(data)

    def _check_size(self, data: msgspec.Raw) -> None:
        if self.max_size is not None and len(data) > self.max_size:
            raise InvalidRequest(
                f"data: {len(data)} bytes are more than handler {self.name!r} takes "
                f"({self.max_size})",
                "data",
            )

    def worth_a_rerun(self, error: BaseException) -> bool:
        """Whether an attempt that raised this may be run again."""
        return isinstance(error, self.retry_on) and not isinstance(error, self.discard_on)


class Registry:
    """Handlers by name."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def add(self, handler: Handler) -> None:
        """Put a handler in.

        Raises:
            ValueError: the name is taken; two functions of one name are a mistake.
        """
        taken = self._handlers.get(handler.name)
        if taken is not None:
            where = f"{taken.function.__module__}.{taken.function.__qualname__}"
            raise ValueError(f"a handler named {handler.name!r} is registered already: {where}")
        self._handlers[handler.name] = handler

    def get(self, name: str) -> Handler | None:
        """The handler of this name, or ``None``."""
        return self._handlers.get(name)

    def has(self, name: str) -> bool:
        """Whether there is one of this name."""
        return name in self._handlers

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._handlers.values())

    def names(self) -> str:
        """All names, for messages."""
        return ", ".join(sorted(self._handlers)) or "none"


HANDLERS = Registry()
"""The handlers of this process; ``@handler`` fills it on import."""


def handler(
    name: str,
    *,
    timeout: int | str | None = None,
    reruns: int | None = None,
    backoff: int | str | RetryPolicy | None = None,
    max_size: int | None = None,
    max_running: int | None = None,
    rate: str | None = None,
    process: bool = False,
    rehearse: bool = False,
    retry_on: type[BaseException] | Exceptions = (BaseException,),
    discard_on: type[BaseException] | Exceptions = (),
) -> Callable[[F], F]:
    """Register ``function(ctx, data)`` under ``name``: ``async def`` runs in the event loop,
    ``def`` in a thread, and with ``process`` either ``def`` in a process of its own.

    Args:
        timeout: limit of one attempt: text like ``"30s"``, or integer nanoseconds.
        reruns: how many may follow a failed first attempt. A record's own ``timeout`` and
            ``ttl`` win over both.
        backoff: before the first rerun at most, doubled for each further one; or a policy.
        max_size: bytes of data at most.
        max_running: attempts at once in a worker; jobs over it wait without taking a slot.
        rate: attempts begun in a time in a worker, such as ``"10/s"`` or ``"100/m"``.
        rehearse: ``faust -A app rehearse`` may run it: with ``ctx.rehearsal`` true it leaves the
            world alone.
        retry_on: only these exceptions are worth a rerun.
        discard_on: and never these.

    Raises:
        InvalidDuration: a duration can't be read.
        TypeError: an option's type, or the function's form or annotation is of no use.
        ValueError: the name is taken, or an option makes no sense.
    """
    given = Options(name)
    timeout_ns = given.timeout(timeout)
    at_most = given.reruns(reruns)
    policy = given.backoff(backoff)
    size = given.number("max_size", max_size, 1)
    running = given.number("max_running", max_running, 1)
    limit = given.rate(rate)
    safe = given.flag("rehearse", rehearse)
    worth = given.exceptions("retry_on", retry_on)
    useless = given.exceptions("discard_on", discard_on)

    def register(function: F) -> F:
        given.function(function, process=process)
        asynchronous = inspect.iscoroutinefunction(function)
        try:
            decode = decoder_for(function)
        except TypeError as exc:
            raise TypeError(f"handler {name!r}: {exc}") from exc
        HANDLERS.add(
            Handler(
                name=name,
                function=function,
                kind=Kind.PROCESS if process else Kind.ASYNC if asynchronous else Kind.THREAD,
                decode=decode,
                timeout_ns=timeout_ns,
                reruns=at_most,
                backoff=policy,
                max_size=size,
                max_running=running,
                rate=limit,
                rehearse=safe,
                retry_on=worth,
                discard_on=useless,
            )
        )
        return function

    return register
