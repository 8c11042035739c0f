"""Job functions of every kind, for the tests of handlers."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from jobs import Context, Discard, Resources, Retry, handler, shutdown, startup
from jobs.retry import RetryPolicy


class Size(msgspec.Struct):
    """A picture's size."""

    width: int
    height: int


@dataclass
class Parcel:
    """Typed data by a dataclass, with another type inside."""

    name: str
    size: Size


class Shop:
    """A shared thing."""

    def __init__(self) -> None:
        self.is_open = True
        self.sold = 0


@startup
async def open_shop() -> Shop:
    """Opened before the first job."""
    await asyncio.sleep(0)
    return Shop()


@shutdown
def close_shop(resources: Resources) -> None:
    """Closed after the last one."""
    print(f"shop closed after {resources.get(Shop).sold} sales", flush=True)


@handler("typed")
async def typed(ctx: Context, data: Parcel) -> dict[str, Any]:
    """Typed data."""
    return {"name": data.name, "area": data.size.width * data.size.height}


@handler("sell")
async def sell(ctx: Context, data: Any) -> int:
    """Uses what @startup gave."""
    shop = ctx.get(Shop)
    shop.sold += 1
    return shop.sold


@handler("thread")
def in_a_thread(ctx: Context, data: Any) -> str:
    """Blocks, in a thread, until it is stopped or its time is over."""
    ends = time.monotonic() + float(data)
    while time.monotonic() < ends and not ctx.stopping:
        time.sleep(0.01)
    return threading.current_thread().name


@handler("process", process=True)
def in_a_process(ctx: Context, data: Any) -> dict[str, Any]:
    """Blocks for ever on request; a kill is the only way to end it."""
    if data == "hang":
        while True:
            pass
    if data == "die":
        os._exit(7)
    if data == "raise":
        raise LookupError("from the process")
    if data == "retry":
        raise Retry("not yet", delay="10ms")
    if data == "too long":
        raise Retry("later", delay=10**30)
    if data == "discard":
        raise Discard("never")
    return {"pid": os.getpid(), "attempt": ctx.attempt, "data": data}


@handler("steer", reruns=5)
async def steer(ctx: Context, data: str) -> Any:
    """Retry, Discard, or an error."""
    if data == "retry" and ctx.attempt < 3:
        raise Retry("once more", delay="10ms")
    if data == "too long":
        raise Retry("later", delay=10**30)
    if data == "discard":
        raise Discard("it is of no use")
    if data == "error":
        raise ValueError("an ordinary failure")
    return ctx.key


@handler("picky", reruns=5, retry_on=OSError, discard_on=FileNotFoundError)
async def picky(ctx: Context, data: str) -> None:
    """Some exceptions are worth a rerun, others not."""
    raise {"os": OSError, "file": FileNotFoundError, "value": ValueError}[data](data)


@handler("steps")
async def steps(ctx: Context, data: Any) -> None:
    """Says how far it is, until it is canceled."""
    ctx.progress(0.25, "a quarter")
    ctx.logger.warning("at work")
    await asyncio.sleep(600)


@handler("parent")
async def parent(ctx: Context, data: Any) -> str:
    """Submits a follow-up."""
    return str(await ctx.submit("echo", data, ttl=0))


_running = 0


@handler("narrow", max_running=2)
async def narrow(ctx: Context, data: float) -> int:
    """At most two at once; how many there were."""
    global _running
    _running += 1
    try:
        await asyncio.sleep(data)
        return _running
    finally:
        _running -= 1


@handler("paced", rate="10/s")
async def paced(ctx: Context, data: Any) -> float:
    """At most ten begin in a second."""
    return time.monotonic()


@handler("small", max_size=20)
async def small(ctx: Context, data: Any) -> Any:
    """Takes little."""
    return data


@dataclass
class Colour:
    """A type whose own check raises what nobody expects."""

    name: str

    def __post_init__(self) -> None:
        self.code = {"red": 1}[self.name]


@handler("colour")
async def colour(ctx: Context, data: Colour) -> int:
    """Takes only what its type bears."""
    return data.code


@dataclass
class Ending:
    """A type whose own check would end the program."""

    code: int

    def __post_init__(self) -> None:
        sys.exit(self.code)


@handler("ending")
async def ending(ctx: Context, data: Ending) -> None:
    """Takes nothing."""


@handler("surrogate", process=True, reruns=0)
def surrogate(ctx: Context, data: Any) -> None:
    """An error whose text can't be written as it is."""
    raise ValueError("bad \udcff")


class Broken(RetryPolicy):
    """A backoff of one's own, with a mistake in it."""

    def delay_s(self, failed_attempts: int, uniform: Callable[[], float]) -> float:
        """Raises."""
        return 1 / (failed_attempts - 1)


@handler("unkept", reruns=5, backoff=Broken())
async def unkept(ctx: Context, data: Any) -> None:
    """What comes of it has no place in a row."""
    raise ValueError("an ordinary failure")


class Fatal(RetryPolicy):
    """A backoff of one's own that would end the program."""

    def delay_s(self, failed_attempts: int, uniform: Callable[[], float]) -> float:
        """Raises."""
        sys.exit(failed_attempts)


@handler("fatal", reruns=5, backoff=Fatal())
async def fatal(ctx: Context, data: Any) -> None:
    """What comes of it ends the program."""
    raise ValueError("an ordinary failure")


class Unasked(type):
    """Of exception types that can't be asked about."""

    def __instancecheck__(cls, instance: object) -> bool:
        raise KeyboardInterrupt


class Asked(Exception, metaclass=Unasked):
    """One of them."""


@handler("unasked", reruns=5, retry_on=Asked)
async def unasked(ctx: Context, data: Any) -> None:
    """Nobody can say whether a rerun is worth it."""
    raise ValueError("an ordinary failure")


@handler("unasked-process", reruns=5, retry_on=Asked, process=True)
def unasked_in_a_process(ctx: Context, data: Any) -> None:
    """The same in a process."""
    raise ValueError("an ordinary failure")


@handler("endless")
def endless(ctx: Context, data: Any) -> None:
    """Never returns, whatever happens."""
    while True:
        time.sleep(0.1)


@handler("deadly in the loop")
async def deadly_in_the_loop(ctx: Context, data: float) -> None:
    """Takes its worker along, when others have begun."""
    await asyncio.sleep(data / 10)
    os._exit(1)
