"""Jobs by the clock: ``@schedule`` over a job function, or over one that makes a job's data.

@schedule("0 2 * * *", timezone="Europe/Berlin", missed="last")
@handler("nightly-report")
async def nightly_report(ctx: Context, data: Scheduled) -> None: ...

@schedule("*/5 * * * *", handler="http")
def ping(at: datetime) -> object:
    return {"url": "https://example.com/ping"}

A schedule's job is a record like any other; two headers say which schedule it is of, and which
of its times. The scheduled time is its idempotency key: intake runs each one once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from jobs.durations import NS_PER_MS, parse_duration
from jobs.errors import InvalidDuration, InvalidRequest
from jobs.model import MAX_SCHEDULE_NAME
from jobs.registry import HANDLERS
from jobs.schedules import SCHEDULES, Missed, Schedule

DEFAULT_GRACE = "1m"
MAX_GRACE_MS = 3_600_000  # all times within it are sent

F = TypeVar("F", bound=Callable[..., Any])


class Scheduled(msgspec.Struct, frozen=True):
    """The data of a job whose function stands under ``@schedule``: the time it is for, aware."""

    at: Annotated[datetime, msgspec.Meta(tz=True)]


def schedule(
    cron: str,
    *,
    handler: str | None = None,
    name: str | None = None,
    timezone: str = "UTC",
    missed: str = Missed.LAST,
    grace: int | str = DEFAULT_GRACE,
) -> Callable[[F], F]:
    """Submit a job at each time of a cron expression, once in the whole group of workers.

    Over a ``@handler`` function it submits jobs of that handler, whose data is ``Scheduled``.
    With ``handler=…`` the function is called with the time and returns the data.

    Args:
        cron: minute, hour, day of month, month, day of week, as in Debian's cron; with six
            fields, the first is the second.
        name: the handler's name if ``None``; what stands in rows and logs.
        timezone: of the expression, such as ``"Europe/Berlin"``.
        missed: ``"last"``: of times that passed while no worker was there, the last one is run
            late. ``"skip"``: none is.
        grace: how late a time may be noticed and still not be missed; text or nanoseconds.

    Raises:
        ValueError, TypeError: an argument makes no sense; the text says which.
    """
    what = f"schedule {cron!r}" if name is None else f"schedule {name!r}"
    _check_text(cron, name, handler)
    zone = _zone(what, timezone)
    try:
        next(CronSim(cron, datetime(2000, 1, 1, tzinfo=zone)))
    except (CronSimError, StopIteration) as exc:
        raise ValueError(
            f"{what}: {cron!r} is no cron expression: {str(exc) or 'it names no time'}"
        ) from None
    if missed not in list(Missed):
        raise ValueError(f"{what}: missed is 'skip' or 'last', not {missed!r}")
    try:
        grace_ms = parse_duration(grace) // NS_PER_MS
    except InvalidDuration as exc:
        raise ValueError(f"{what}: grace: {exc}") from None
    if not 1_000 <= grace_ms <= MAX_GRACE_MS:
        raise ValueError(f"{what}: grace must be from 1s to 1h, not {grace!r}")

    def register(function: F) -> F:
        target = _name_of(what, function) if handler is None else handler
        called = target if name is None else name
        if not _is_text(called):
            most = MAX_SCHEDULE_NAME
            raise ValueError(f"a schedule's name is text of 1 to {most} characters: {called!r}")
        SCHEDULES.add(
            Schedule(
                name=called,
                cron=cron,
                timezone=zone,
                handler=target,
                missed=Missed(missed),
                grace_ms=grace_ms,
                data=Scheduled if handler is None else _data_by(what, function),
            )
        )
        return function

    return register


def _check_text(cron: object, name: object, handler: object) -> None:
    if not isinstance(cron, str):  # the function itself: @schedule without its parentheses
        example = '@schedule("0 2 * * *")'
        raise TypeError(f"{example} is how a schedule is given; this is one with {cron!r}")
    for option, value in (("name", name), ("handler", handler)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"schedule {cron!r}: {option} must be text, not {value!r}")


def _is_text(name: str) -> bool:
    try:
        name.encode()  # a lone surrogate has no bytes for a record's header
    except UnicodeEncodeError:
        return False
    return 1 <= len(name) <= MAX_SCHEDULE_NAME


def _zone(what: str, name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, TypeError, LookupError):
        raise ValueError(f"{what}: no time zone is named {name!r}") from None


def _name_of(what: str, function: Callable[..., Any]) -> str:
    for each in HANDLERS:
        if each.function is function:
            try:
                each.check(msgspec.Raw(msgspec.json.encode(Scheduled(datetime.now(UTC)))))
            except InvalidRequest as exc:
                raise TypeError(
                    f"{what}: the data of {each.name!r} must be Scheduled ({exc}); or make it by a "
                    "function under @schedule(…, handler=…)"
                ) from None
            return each.name
    raise TypeError(
        f"{what}: {getattr(function, '__qualname__', function)} is no handler: put @schedule above "
        "@handler, or name one by handler=…"
    )


def _data_by(what: str, function: Callable[..., Any]) -> Callable[[datetime], Any]:
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{what}: the function that makes the data must be def, not async def")
    try:
        inspect.signature(function).bind(None)
    except (TypeError, ValueError):
        raise TypeError(f"{what}: the function that makes the data takes the time, (at)") from None
    return function
