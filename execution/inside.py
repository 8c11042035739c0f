"""A handler's process, from its start to its end: it takes calls, one after the other."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
import time
from functools import cache
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from execution.executor import HandlerExit
from execution.line import Line, Wire
from execution.logs import HANDLER_LOGGER, BoundLogger, Forward
from execution.messages import Answer, Begun, Call, Prepare, Ready
from execution.opening import OpenedHere
from execution.traces import traced
from jobs.codec import encode_json
from jobs.context import Context
from jobs.errors import InvalidRequest, text_of, told
from jobs.registry import HANDLERS, Handler
from jobs.resources import HOOKS
from jobs.steering import Discard, Retry

if TYPE_CHECKING:
    from execution.tracing import Tracing

PARENT_LOOK_S = 1.0


def main(connection: Connection, worker: int, module: str) -> None:
    """Run what ``worker``, a process id, asks for over the connection, until it goes away.

    ``module`` is imported at once, so that it may be ready when the first attempt comes.
    """
    _stand_alone(worker)
    os.set_inheritable(connection.fileno(), False)  # not for programs that handlers start
    wire = Wire(connection)
    logger = logging.getLogger(HANDLER_LOGGER)
    logger.addHandler(Forward(wire.send))
    logger.propagate = False
    opened = OpenedHere(HOOKS)
    try:
        _serve(wire, logger, opened, module)
    except (EOFError, OSError):  # the worker has gone, or a handler has closed the connection
        os._exit(0)  # threads that handlers have left behind don't keep it


def _serve(wire: Wire, logger: logging.Logger, opened: OpenedHere, module: str) -> None:
    pid = os.getpid()
    failures = {module: _import(module)}
    while True:
        _end_forks(pid)
        message: Prepare | Call = wire.connection.recv()
        if isinstance(message, Prepare):
            if message.module not in failures:
                failures[message.module] = _import(message.module)
            failure = failures[message.module]
            wire.send(Ready(failure))
            if failure is not None:  # what is half imported can't be imported again, only elsewhere
                os._exit(1)
            continue
        logger.setLevel(message.level)
        line = Line(wire)
        wire.send(Begun())
        answer = _run(message, line, opened)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # closed by a handler, say
                stream.flush()
        _end_forks(pid)
        line.end(answer)


def _end_forks(pid: int) -> None:
    """End a process that a handler has forked and that came back from it: the conversation is the
    parent's, and it would take the next call."""
    if os.getpid() != pid:
        os._exit(0)


def _stand_alone(worker: int) -> None:
    """Leave the end of this process to the worker, and end when it has died, which no one else
    would tell a handler that is busy. A thread looks: not every system has a signal for that."""
    # Ctrl-C and a service manager's SIGTERM reach all processes, and the worker lets attempts
    # finish. Functions, not SIG_IGN, which programs started by a handler would inherit.
    signal.signal(signal.SIGINT, _leave_it)
    signal.signal(signal.SIGTERM, _leave_it)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_as_usual)
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # what a handler starts is killed with it

    def watch() -> None:
        while os.getppid() == worker:
            time.sleep(PARENT_LOOK_S)
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _leave_it(number: int, frame: object) -> None:
    """SIGINT and SIGTERM: nothing."""


def _as_usual() -> None:
    """In what a handler forks: a multiprocessing pool, say, ends its processes by SIGTERM."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _import(module: str) -> Answer | None:
    try:
        importlib.import_module(module)
        return None
    except BaseException as exc:  # of a module's own code
        error = f"module {module} can't be imported in a process: {told(exc)}"
        return Answer(error=error, trace=traced(exc))


def _run(call: Call, line: Line, opened: OpenedHere) -> Answer:
    handler = HANDLERS.get(call.handler)
    if handler is None:
        return Answer(error=f"module {call.module} registers no handler {call.handler!r}")
    opened.modules = call.hooks
    context = Context(
        job_id=call.job_id,
        attempt=call.attempt,
        max_attempts=call.max_attempts,
        submitted_at_ms=call.submitted_at_ms,
        stops_at=None if call.timeout_s is None else time.time() + call.timeout_s,
        rehearsal=call.rehearsal,
        logger=BoundLogger(call.job_id, call.attempt, call.handler),
        traceparent=call.traceparent,
        resources=opened,
        report=line.progress,
        send=_no_loop,
        send_sync=line.submit,
    )
    try:
        data = handler.decode(msgspec.Raw(call.data))
    except InvalidRequest as exc:  # admitted by other code than this
        return Answer(error=str(exc), steering="discard")
    if call.traced is None:
        return _call(handler, context, data)
    with _tracing(*call.traced).beneath(call.traceparent):
        return _call(handler, context, data)


@cache
def _tracing(service: str, worker: str) -> Tracing:
    from execution.tracing import Tracing

    return Tracing(service, worker)


def _call(handler: Handler, context: Context, data: Any) -> Answer:
    try:
        value = handler.function(context, data)
        return Answer(result=_encoded(value))
    except Retry as exc:
        delay_ns = getattr(exc, "delay_ns", None)  # a subclass may have left it out
        return Answer(error=text_of(exc), steering="retry", delay_ns=delay_ns)
    except Discard as exc:
        return Answer(error=text_of(exc), steering="discard")
    except _NoResult as exc:
        error = f"the handler's result can't be kept: {exc}"
        return Answer(error=error, worth_a_rerun=False)
    except (SystemExit, KeyboardInterrupt) as exc:  # the attempt's end, not the process's
        return _failed(handler, HandlerExit(exc).with_traceback(exc.__traceback__))
    except BaseException as exc:
        return _failed(handler, exc)


def _failed(handler: Handler, error: BaseException) -> Answer:
    try:
        worth = handler.worth_a_rerun(error)
    except BaseException as exc:  # of an exception type's own __instancecheck__
        text = f"its outcome can't be kept: {told(exc)}"
        return Answer(error=text, trace=traced(exc), worth_a_rerun=False)
    return Answer(error=told(error), trace=traced(error), worth_a_rerun=worth)


class _NoResult(Exception):
    """What the handler returned can't be JSON."""


def _encoded(value: Any) -> bytes:
    try:
        return bytes(encode_json(value))
    except InvalidRequest as exc:  # not the handler's own, of ctx.submit_sync, say
        raise _NoResult(str(exc)) from None


def _no_loop(request: dict[str, Any]) -> NoReturn:
    raise RuntimeError("a def handler can't await ctx.submit: call ctx.submit_sync")
