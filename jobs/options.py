"""The options of ``@handler``, checked on import: each error names the handler and the option."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

from jobs.codec import MAX_DELAY_NS, MAX_TIMEOUT_NS, MAX_TTL
from jobs.durations import NS_PER_S, format_duration, parse_duration
from jobs.errors import InvalidDuration
from jobs.limits import Rate
from jobs.retry import RetryPolicy

MAX_BACKOFF_S = 3_600.0  # of a handler that names its first delay only

Exceptions = tuple[type[BaseException], ...]


class Options:
    """What is given to one ``@handler``, checked one by one.

    Raises:
        TypeError: an option is of a wrong type.
        ValueError: its value makes no sense.
        InvalidDuration: a duration can't be read.
    """

    def __init__(self, name: object) -> None:
        if callable(name):
            called = getattr(name, "__name__", "the function")
            raise TypeError(f'@handler needs a name: write @handler("{called}") over {called}')
        if not isinstance(name, str):
            raise TypeError(f"a handler's name is text, not {name!r}")
        if not 1 <= len(name) <= 100:
            raise ValueError(f"a handler's name has 1 to 100 characters, not {len(name)}")
        self._who = f"handler {name!r}"

    def number(self, option: str, value: object, least: int, most: int | None = None) -> int | None:
        """A whole number, or ``None`` for what isn't set."""
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{self._who}: {option} must be a whole number, not {value!r}")
        if value < least or (most is not None and value > most):
            allowed = f"at least {least}" if most is None else f"from {least} to {most}"
            raise ValueError(f"{self._who}: {option} must be {allowed}, not {value}")
        return value

    def duration(self, option: str, value: object, least: int, most: int) -> int | None:
        """Nanoseconds of a duration, or ``None`` for what isn't set."""
        if value is None:
            return None
        try:
            ns = parse_duration(value)  # type: ignore[arg-type] # it says what it doesn't take
        except InvalidDuration as exc:
            raise InvalidDuration(f"{self._who}: {option}: {exc}") from None
        if not least <= ns <= most:
            raise ValueError(
                f"{self._who}: {option} must be {'more than 0' if least else 'at least 0'} and at "
                f"most {format_duration(most)}, not {value!r} (an integer is nanoseconds)"
            )
        return ns

    def timeout(self, value: object) -> int | None:
        """Nanoseconds of an attempt's limit."""
        return self.duration("timeout", value, 1, MAX_TIMEOUT_NS)

    def reruns(self, value: object) -> int | None:
        """How many reruns a job may have."""
        return self.number("reruns", value, 0, MAX_TTL)

    def backoff(self, value: object) -> RetryPolicy | None:
        """A policy, or one of a first delay."""
        if isinstance(value, RetryPolicy):
            for field, seconds in (("base_s", value.base_s), ("cap_s", value.cap_s)):
                self._seconds(f"backoff's {field}", seconds)
            return value
        first_ns = self.duration("backoff", value, 0, round(MAX_BACKOFF_S * NS_PER_S))
        return None if first_ns is None else RetryPolicy(first_ns / NS_PER_S, MAX_BACKOFF_S)

    def rate(self, value: object) -> Rate | None:
        """How many attempts may begin in a time."""
        if value is None:
            return None
        if not isinstance(value, str):
            raise TypeError(f"{self._who}: rate is text such as '10/s', not {value!r}")
        try:
            return Rate.parse(value)
        except ValueError as exc:
            raise ValueError(f"{self._who}: rate: {exc}") from None

    def flag(self, option: str, value: object) -> bool:
        """True or false, and nothing that only looks like it."""
        if not isinstance(value, bool):
            raise TypeError(f"{self._who}: {option} is True or False, not {value!r}")
        return value

    def exceptions(self, option: str, given: object) -> Exceptions:
        """One exception type, or some."""
        kinds = tuple(given) if isinstance(given, tuple | list | set | frozenset) else (given,)
        for kind in kinds:
            if not (isinstance(kind, type) and issubclass(kind, BaseException)):
                raise TypeError(f"{self._who}: {option} takes exception types, not {kind!r}")
        return kinds

    def function(self, function: Callable[..., Any], *, process: object) -> None:
        """Whether a worker can call it, and a process find it."""
        alone = self.flag("process", process)
        if not hasattr(function, "__code__"):
            raise TypeError(
                f"{self._who}: it must be a function (def or async def), not {_form(function)}; "
                "write a function that calls it"
            )
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{self._who}: {function.__qualname__} has a yield; a handler returns its result "
                "(ctx.progress tells how far it is)"
            )
        if not alone:
            return
        if inspect.iscoroutinefunction(function):
            raise TypeError(f"{self._who}: with process=True it must be def, not async def")
        module, path = function.__module__, function.__qualname__
        if module == "__main__" or "<" in path:
            raise ValueError(
                f"{self._who}: with process=True it must be a function at the top of a module "
                f"that processes can import, not {path} of {module}"
            )

    def _seconds(self, what: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{self._who}: {what} must be seconds, not {value!r}")
        most_s = MAX_DELAY_NS / NS_PER_S
        if not (math.isfinite(value) and 0 <= value <= most_s):
            raise ValueError(f"{self._who}: {what} must be from 0 to {most_s:.0f}, not {value}")


def _form(function: object) -> str:
    if isinstance(function, functools.partial):
        return "a functools.partial"
    if isinstance(function, type):
        return f"the class {function.__name__}"
    if inspect.isbuiltin(function):
        return f"the built-in {function.__name__}"
    return f"an object of type {type(function).__name__}"
