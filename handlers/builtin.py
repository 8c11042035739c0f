"""``simulate`` (the default), ``echo``, ``sleep`` and ``fail``: for a first day and for tests."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from jobs import Context, handler

MAX_SIMULATED_S = 5.0  # the seed service's


@handler("simulate", rehearse=True)
async def simulate(ctx: Context, data: Any) -> Any:
    """The seed's simulated work: sleeps up to five seconds, then gives ``data`` back."""
    await asyncio.sleep(random.uniform(0.0, MAX_SIMULATED_S))
    return data


@handler("echo", rehearse=True)
async def echo(ctx: Context, data: Any) -> Any:
    """Gives ``data`` back at once."""
    return data


@handler("sleep", rehearse=True)
async def sleep(ctx: Context, data: Any) -> Any:
    """Sleeps ``data`` seconds, then gives it back."""
    await asyncio.sleep(_number(data, "sleep", "seconds to sleep"))
    return data


@handler("fail", rehearse=True)
async def fail(ctx: Context, data: Any) -> Any:
    """Fails ``data`` times, then succeeds: shows reruns."""
    times = _number(data, "fail", "how many attempts shall fail")
    if ctx.attempt <= times:
        raise RuntimeError(f"attempt {ctx.attempt} of {times:g} that shall fail")
    return {"succeeded_on_attempt": ctx.attempt}


def _number(data: Any, name: str, meaning: str) -> float:
    if isinstance(data, bool) or not isinstance(data, int | float) or data < 0:
        raise ValueError(f"{name!r} takes data that is a number ≥ 0, {meaning}; it got {data!r}")
    return float(data)
