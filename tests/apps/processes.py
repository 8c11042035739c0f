"""Job functions that run in processes (and a few in threads), for the tests of processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from pydantic import BaseModel

from jobs import Context, handler, startup
from jobs.errors import InvalidRequest, NotSubmitted


class Model:
    """A thing that a process opens for itself."""

    def __init__(self) -> None:
        self.pid = os.getpid()


class Session:
    """A thing that only an event loop can open."""


@startup
def open_model() -> Model:
    """A process can run this."""
    return Model()


@startup
async def open_session() -> Session:
    """A process can't."""
    return Session()


@handler("p-steps", process=True)
def steps(ctx: Context, data: int) -> None:
    """Tells its progress so many times, and ends."""
    for done in range(data + 1):
        ctx.progress(done / data, str(done))


@handler("p-half", process=True)
def half(ctx: Context, data: Any) -> NoReturn:
    """Says how far it is, in two words at once, and what it does; computes until it is killed."""
    ctx.progress(0.1)
    ctx.progress(0.5, "half")
    ctx.logger.info("unimportant")
    ctx.logger.warning("at %s", "work")
    while True:
        pass


@handler("p-log", process=True)
def log(ctx: Context, data: Any) -> None:
    """Logs at some levels, and a traceback."""
    ctx.logger.debug("a detail")
    ctx.logger.info("some %s", "news")
    try:
        raise LookupError("not there")
    except LookupError:
        ctx.logger.exception("a mistake")


@handler("p-context", process=True)
def context(ctx: Context, data: Any) -> dict[str, Any]:
    """What it knows of its attempt."""
    return {
        "deadline": ctx.deadline,
        "remaining_s": ctx.remaining_s,
        "key": ctx.key,
        "models": [ctx.get(Model).pid, ctx.get(Model).pid],
        "same": ctx.get(Model) is ctx.get(Model),
        "pid": os.getpid(),
    }


@handler("p-session", process=True)
def session(ctx: Context, data: Any) -> None:
    """Asks for what a process can't have."""
    ctx.get(Session)


def follow_up(ctx: Context, data: Any) -> Any:
    """Submits what it is given: a follow-up's arguments."""
    try:
        return str(ctx.submit_sync(**data))
    except InvalidRequest as exc:
        return ["invalid", exc.field, str(exc)]
    except NotSubmitted as exc:
        return ["not submitted", str(exc)]


handler("p-parent", process=True)(follow_up)
handler("t-parent")(follow_up)


class Parcel(msgspec.Struct):
    """Data of a follow-up."""

    weight: int


class Letter(BaseModel):
    """The same by pydantic."""

    words: int


ODD: dict[str, tuple[Any, dict[str, Any]]] = {
    "struct": (Parcel(3), {}),
    "models": ([Letter(words=4)], {}),
    "object": (object(), {}),
    "surrogate": ("\ud800", {}),
    "option": (1, {"foo": 1}),
    "an option's value": (1, {"delay": object()}),
}


def odd(ctx: Context, data: str) -> str:
    """Submits one of those."""
    given, options = ODD[data]
    try:
        return str(ctx.submit_sync("echo", given, **options))
    except (InvalidRequest, TypeError) as exc:
        return f"{type(exc).__name__}: {exc}"


handler("p-odd", process=True)(odd)
handler("t-odd")(odd)


@handler("a-odd")
async def odd_in_the_loop(ctx: Context, data: str) -> str:
    """The same."""
    given, options = ODD[data]
    try:
        return str(await ctx.submit("echo", given, **options))
    except (InvalidRequest, TypeError) as exc:
        return f"{type(exc).__name__}: {exc}"


@handler("a-parent")
async def parent_in_the_loop(ctx: Context, data: Any) -> None:
    """Would block the loop."""
    ctx.submit_sync("echo", data)


@handler("p-await", process=True)
def awaits_in_a_process(ctx: Context, data: Any) -> None:
    """Can't await anything."""
    ctx.submit("echo", data).close()


@handler("t-await")
def awaits_in_a_thread(ctx: Context, data: Any) -> None:
    """Neither can this one."""
    ctx.submit("echo", data).close()


@handler("p-threads", process=True)
def threads(ctx: Context, data: int) -> list[str]:
    """Submits from several threads, and tells progress meanwhile."""
    ids: list[str] = []

    def submit(number: int) -> None:
        for _ in range(5):
            ctx.progress(0.5)
            ids.append(str(ctx.submit_sync("echo", number)))

    started = [threading.Thread(target=submit, args=[n]) for n in range(data)]
    for each in started:
        each.start()
    for each in started:
        each.join()
    return ids


@handler("p-stubborn", process=True)
def stubborn(ctx: Context, data: str) -> NoReturn:
    """Ignores SIGTERM and computes; its process id, and one that it has started, in a file."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    _write(data, os.getpid(), started.pid)
    while True:
        pass


@handler("p-chatty", process=True)
def chatty(ctx: Context, data: str) -> NoReturn:
    """Is always in the middle of a message."""
    _write(data, os.getpid())
    while True:
        ctx.logger.warning("x" * 100_000)


@handler("p-forked", process=True)
def forked(ctx: Context, data: str) -> NoReturn:
    """Dies, and leaves a process behind that holds its connection open."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        ctx.progress(0.9, "of a fork: nobody hears it")
        time.sleep(600)
    _write(data, pid)
    os._exit(3)


@handler("p-fork-returns", process=True)
def fork_returns(ctx: Context, data: Any) -> list[int]:
    """Comes back twice: in its own process, and in one that it has forked."""
    parent, pid = os.getpid(), os.fork()
    return [parent, 0 if pid else 1]


@handler("p-terminates", process=True)
def terminates(ctx: Context, data: Any) -> int | None:
    """Ends a process that it has forked, as a multiprocessing pool does; its exit code."""
    running, wait = multiprocessing.Pipe()

    def run() -> None:
        running.send(True)
        time.sleep(600)

    forked = multiprocessing.get_context("fork").Process(target=run)
    forked.start()
    wait.recv()
    forked.terminate()
    forked.join()
    return forked.exitcode


@handler("p-dies", process=True)
def dies(ctx: Context, data: int) -> NoReturn:
    """Ends its process, by that exit code."""
    os._exit(data)


@handler("p-unshown", process=True)
def unshown(ctx: Context, data: Any) -> NoReturn:
    """Raises what can be neither shown nor pickled."""

    class Unshown(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

        def __reduce__(self) -> NoReturn:
            raise RuntimeError("no pickle")

    raise Unshown(threading.Lock())


@handler("p-exit", process=True)
def exits(ctx: Context, data: Any) -> NoReturn:
    """Would end the process."""
    sys.exit("enough")


@handler("p-leaves", process=True, retry_on=Exception)
def leaves(ctx: Context, data: Any) -> NoReturn:
    """What is no ``Exception``, and isn't asked to be run again."""
    raise GeneratorExit("left")


def _write(path: str, *pids: int) -> None:
    """A file that is there is whole."""
    unfinished = Path(path + ".new")
    unfinished.write_text(" ".join(map(str, pids)))
    unfinished.replace(path)
