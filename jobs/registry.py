"""Job functions by name: ``@handler`` puts one in, a worker looks it up."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from jobs.durations import NS_PER_S, parse_duration
from jobs.errors import InvalidRequest
from jobs.limits import Rate
from jobs.retry import RetryPolicy
from jobs.typed import Decode, decoder_for, plain

DEFAULT_HANDLER = "simulate"  # what a record gets that names none: the seed's simulated work
MAX_BACKOFF_S = 3_600.0  # of a handler that names its first delay only

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)
Exceptions = tuple[type[BaseException], ...]


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
    retry_on: Exceptions = (Exception,)
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
        if self.max_size is not None and len(data) > self.max_size:
            raise InvalidRequest(
                f"data: {len(data)} bytes are more than handler {self.name!r} takes "
                f"({self.max_size})",
                "data",
            )
        return self.decode(data)

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
    retry_on: type[BaseException] | Exceptions = (Exception,),
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
        retry_on: only these exceptions are worth a rerun.
        discard_on: and never these.

    Raises:
        InvalidDuration: a duration can't be read.
        TypeError: the function's form or annotation is of no use.
        ValueError: the name is taken, or an option makes no sense.
    """
    if not 1 <= len(name) <= 100:
        raise ValueError(f"a handler's name has 1 to 100 characters, not {len(name)}")
    timeout_ns = None if timeout is None else parse_duration(timeout)
    for option, value, least in (
        ("timeout", timeout_ns, 1),
        ("reruns", reruns, 0),
        ("max_size", max_size, 1),
        ("max_running", max_running, 1),
    ):
        if value is not None and value < least:
            raise ValueError(f"handler {name!r}: {option} must be at least {least}, not {value}")
    worth = _exceptions(name, "retry_on", retry_on)
    useless = _exceptions(name, "discard_on", discard_on)
    policy = None
    if isinstance(backoff, RetryPolicy):
        policy = backoff
    elif backoff is not None:
        policy = RetryPolicy(parse_duration(backoff) / NS_PER_S, MAX_BACKOFF_S)
    limit = None if rate is None else Rate.parse(rate)

    def register(function: F) -> F:
        asynchronous = inspect.iscoroutinefunction(function)
        if process and asynchronous:
            raise TypeError(f"handler {name!r}: with process=True it must be def, not async def")
        HANDLERS.add(
            Handler(
                name=name,
                function=function,
                kind=Kind.PROCESS if process else Kind.ASYNC if asynchronous else Kind.THREAD,
                decode=decoder_for(function),
                timeout_ns=timeout_ns,
                reruns=reruns,
                backoff=policy,
                max_size=max_size,
                max_running=max_running,
                rate=limit,
                retry_on=worth,
                discard_on=useless,
            )
        )
        return function

    return register


def _exceptions(name: str, option: str, given: object) -> Exceptions:
    kinds = tuple(given) if isinstance(given, tuple | list | set | frozenset) else (given,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"handler {name!r}: {option} takes exception types, not {kind!r}")
    return kinds
