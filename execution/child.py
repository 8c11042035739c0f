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
from execution.messages import Answer, Begun, Call, Log, Progress, Submit, Submitted
from jobs.errors import InvalidRequest
from jobs.model import JobId

LOOK_S = 0.25  # between looks whether a process that says nothing is still there
END_S = 1.0  # for one that has closed its connection
# spawn: a fork would copy the event loop, its threads' locks and its sockets.
_SPAWN = multiprocessing.get_context("spawn")


class ProcessDied(Exception):
    """The process ended in the middle of an attempt: killed, out of memory, or ``os._exit``."""


class NeverBegan(ProcessDied):
    """It ended before the handler's code ran; another process may be tried."""


class Listener(NamedTuple):
    """Where the worker takes what an attempt says. Called in the conversation's thread.

    ``submit`` takes a request as JSON; its future has the id or the error.
    """

    report: Callable[[float, str], None]
    submit: Callable[[bytes], Future[JobId]]


class Child:
    """A process that runs one attempt at a time, and its own connection to it.

    The event loop calls ``kill``; all that may block is in ``run``, for a thread.
    """

    def __init__(self, module: str) -> None:
        """``module`` is what it will be needed for first."""
        self._module = module
        self._ours, self._theirs = _SPAWN.Pipe()
        self._process: SpawnProcess | None = None
        self._starting = threading.Lock()
        self._state = threading.Lock()  # held for a moment only
        self._sending = threading.Lock()  # so that nothing is sent on a closed connection
        self._running = False
        self._begun = False
        self._killed = False

    @property
    def usable(self) -> bool:
        """Whether it can take a call."""
        process = self._process
        return not self._killed and (process is None or process.is_alive())

    def take(self) -> None:
        """Keep it for one attempt: before ``run`` and ``kill``."""
        self._running = True

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
            ProcessDied: it ended before it gave an answer; ``NeverBegan`` if before the handler.
        """
        self._begun = False
        try:
            self.start()
            self._ours.send(call)
            answer = self._listen(listener)
        except (EOFError, OSError) as exc:
            died = ProcessDied if self._begun else NeverBegan
            raise died(self._ended(exc)) from None
        except BaseException:
            self._ended(None)
            raise
        with self._state:
            self._running = False
            killed = self._killed
        if killed:
            self._ended(None)
            raise ProcessDied("killed when it had just ended")
        return answer

    def kill(self) -> None:
        """Kill the process if it runs an attempt; ``run`` ends then."""
        with self._state:
            if self._running:
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

    def _listen(self, listener: Listener) -> Answer:
        assert self._process is not None
        while True:
            # Its end closes the connection, unless it has left a copy to a process of its own.
            if not self._ours.poll(LOOK_S):
                if not self._process.is_alive():
                    raise EOFError
                continue
            match self._ours.recv():
                case Answer() as answer:
                    return answer
                case Begun():
                    self._begun = True
                case Progress(fraction, note):
                    listener.report(fraction, note)
                case Log() as log:
                    replay(log, self._process.pid)
                case Submit(request):
                    listener.submit(request).add_done_callback(self._reply)

    def _reply(self, done: Future[JobId]) -> None:
        # In the event loop. It doesn't block: the process waits for this and gets nothing else.
        with self._sending:
            with contextlib.suppress(OSError):  # killed meanwhile
                self._ours.send(_told(done))

    def _ended(self, error: Exception | None) -> str:
        """See to it that the process is gone; why it is, for the job."""
        process = self._process
        if process is None:
            self._killed = True
            return f"a process for the handler can't be started: {error}"
        if error is not None:
            process.join(END_S)
        with self._state:
            self._kill()
        _wait(process)
        with self._sending:
            self._ours.close()
        return (
            f"the handler's process ended in the middle of the attempt (exit code "
            f"{process.exitcode}): killed, out of memory, or it called os._exit"
        )


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
