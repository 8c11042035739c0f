"""In the worker: one process of handlers, and the conversation with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.context import SpawnProcess
from typing import NamedTuple

from execution import inside
from execution.logs import replay
from execution.messages import (
    Answer,
    Begun,
    Call,
    FromProcess,
    Log,
    Prepare,
    Progress,
    Ready,
    Submit,
    Submitted,
)
from jobs.errors import InvalidRequest
from jobs.model import JobId

READY_S = 60.0
"""How long an attempt waits for its process to start and to import the handler's module."""

LOOK_S = 0.25  # between looks whether a process that says nothing is still there
END_S = 1.0  # for one that has closed its connection
# spawn: a fork would copy the event loop, its threads' locks and its sockets.
_SPAWN = multiprocessing.get_context("spawn")


class ProcessDied(Exception):
    """The process ended in the middle of an attempt. ``exit_code``: of one that died by itself (a
    crash, out of memory, ``os._exit``); ``None`` if we have killed it, or none could be started."""

    def __init__(self, text: str, exit_code: int | None = None) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class NeverBegan(ProcessDied):
    """It ended before the handler's code ran; another process may be tried."""


class NotReady(Exception):
    """The process didn't get as far as the handler's code in time."""


class Left(Exception):
    """The attempt was stopped while its process was getting ready; that goes on."""


class Listener(NamedTuple):
    """Where the worker takes what an attempt says. Called in the conversation's thread.

    ``submit`` takes a request as JSON; its future has the id or the error. ``begun`` is called
    when the handler's code begins: all before it is the process's own business.
    """

    report: Callable[[float, str], None]
    submit: Callable[[bytes], Future[JobId]]
    begun: Callable[[], object] = lambda: None


class Child:
    """A process that runs one attempt at a time, and its own connection to it.

    The event loop calls ``stop`` and ``expire``; all that may block is in ``run``, for a thread.
    """

    def __init__(self, module: str) -> None:
        """``module`` is what it will be needed for first."""
        self.broken = False  # a module can't be imported there
        self._module = module
        self._imported: set[str] = set()
        self._asked: str | None = None  # to import; it hasn't answered yet
        self._ours, self._theirs = _SPAWN.Pipe()
        self._process: SpawnProcess | None = None
        self._starting = threading.Lock()
        self._state = threading.Lock()  # held for a moment only
        self._sending = threading.Lock()  # so that nothing is sent on a closed connection
        self._taken = False
        self._called = False  # the call is on its way: only a kill stops it
        self._begun = False
        self._left = False
        self._late = False
        self._killed = False

    @property
    def usable(self) -> bool:
        """Whether it can take a call."""
        process = self._process
        return not self._killed and (process is None or process.is_alive())

    def near(self, module: str) -> int:
        """How near it is to an attempt of this module's: 2 has imported it, 1 is at it."""
        if module in self._imported:
            return 2
        return int(module in (self._module, self._asked))

    def take(self) -> None:
        """Keep it for one attempt: before ``run``, ``stop`` and ``expire``."""
        self._called = self._begun = self._left = False
        self._taken = True

    def start(self) -> None:
        """Start the process, unless it has been.

        Raises:
            OSError: the system has none to give.
        """
        with self._starting:
            if self._killed:
                raise OSError("it was stopped before")
            if self._process is None:
                arguments = (self._theirs, os.getpid(), self._module)
                process = _SPAWN.Process(target=inside.main, args=arguments, name="handler")
                process.start()
                self._theirs.close()
                self._adopt(process)

    def run(self, call: Call, listener: Listener) -> Answer:
        """Run an attempt, and wait for its end; when it is killed, for the process's.

        Raises:
            Left: it was stopped before its process was ready; that is as usable as before.
            NotReady: it was too late before the handler began.
            ProcessDied: it ended before it gave an answer; ``NeverBegan`` if before the handler.
        """
        try:
            self.start()
            failure = self._prepare(call.module)
            if failure is not None:
                self._ended(None)
                return failure
            answer = self._converse(call, listener)
        except Left:
            raise
        except (EOFError, OSError) as exc:
            ours = self._killed
            self._ended(exc)
            if self._late:
                raise NotReady(
                    f"the handler's process was still starting, or importing module "
                    f"{call.module}, when the attempt had waited {READY_S:g}s for it"
                ) from None
            raise self._death(exc, ours) from None
        except BaseException:
            self._ended(None)
            raise
        with self._state:
            self._taken = False
            killed = self._killed
        if killed:
            self._ended(None)
            raise ProcessDied("killed when it had just ended")
        return answer

    def stop(self) -> None:
        """End ``run``: kill the process if it has the call. One that is getting ready goes on, for
        the next attempt."""
        with self._state:
            if self._taken and self._called:
                self._kill()
            self._left = True

    def expire(self) -> None:
        """The attempt has waited long enough for its process, unless the handler has begun."""
        with self._state:
            if self._taken and not self._begun:
                self._late = True
                self._kill()

    def close(self) -> None:
        """Kill the process whatever it does, and wait for its end."""
        with self._state:
            self._kill()
        if self._process is not None:
            _wait(self._process)

    def _adopt(self, process: SpawnProcess) -> None:
        with self._state:
            self._process = process
            if self._killed:
                _kill(process)

    def _kill(self) -> None:
        self._killed = True
        if self._process is not None:
            _kill(self._process)

    def _prepare(self, module: str) -> Answer | None:
        """Have the module imported; an answer if it can't be."""
        while self._asked is not None or module not in self._imported:
            if self._asked is None:
                self._ours.send(Prepare(module))
                self._asked = module
            match self._next(leave=True):
                case Ready(failure):
                    asked, self._asked = self._asked, None
                    if failure is not None:
                        self.broken = True
                        if asked != module:  # an attempt asked for it that has left since
                            raise EOFError
                        return failure
                    self._imported.add(asked or module)
                case Log() as log:  # of a thread that an attempt has left behind
                    self._log(log)
        return None

    def _converse(self, call: Call, listener: Listener) -> Answer:
        with self._state:
            if self._left:
                raise Left
            self._called = True
        self._ours.send(call)
        while True:
            match self._next():
                case Answer() as answer:
                    return answer
                case Begun():
                    with self._state:
                        self._begun = True
                    listener.begun()
                case Progress(fraction, note):
                    listener.report(fraction, note)
                case Log() as log:
                    self._log(log)
                case Submit(request):
                    listener.submit(request).add_done_callback(self._reply)

    def _next(self, *, leave: bool = False) -> FromProcess:
        assert self._process is not None
        # Its end closes the connection, unless it has left a copy to a process of its own.
        while not self._ours.poll(LOOK_S):
            if not self._process.is_alive():
                raise EOFError
            if leave and self._left:
                raise Left
        message: FromProcess = self._ours.recv()
        return message

    def _log(self, log: Log) -> None:
        assert self._process is not None
        replay(log, self._process.pid)

    def _reply(self, done: Future[JobId]) -> None:
        # In the event loop. It doesn't block: the process waits for this and gets nothing else.
        with self._sending:
            with contextlib.suppress(OSError):  # killed meanwhile
                self._ours.send(_told(done))

    def _ended(self, error: Exception | None) -> None:
        """See to it that the process is gone."""
        process = self._process
        if process is None:
            self._killed = True
            return
        if error is not None:
            process.join(END_S)
        with self._state:
            self._kill()
        _wait(process)
        with self._sending:
            self._ours.close()

    def _death(self, error: Exception, ours: bool) -> ProcessDied:
        """Why the process is gone, for the job."""
        if self._process is None:
            return NeverBegan(f"a process for the handler can't be started: {error}")
        code = self._process.exitcode
        text = f"the handler's process ended in the middle of the attempt (exit code {code})"
        return (ProcessDied if self._begun else NeverBegan)(text, None if ours else code)


def _told(done: Future[JobId]) -> Submitted:
    error = None if done.cancelled() else done.exception()
    if done.cancelled():
        return Submitted(error="the worker is stopping")
    if isinstance(error, InvalidRequest):
        return Submitted(error=str(error), invalid=True, field=error.field)
    if error is not None:
        return Submitted(error=str(error))
    return Submitted(done.result())


def _kill(process: SpawnProcess) -> None:
    """SIGKILL, which nothing can ignore; also to what the handler has started."""
    if process.pid is not None and hasattr(os, "killpg") and process.exitcode is None:
        with contextlib.suppress(OSError):  # it isn't a group's leader yet
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _wait(process: SpawnProcess) -> None:
    while process.is_alive():
        process.join(END_S)
