"""In a handler's process: what its attempts tell the worker, over the process's one connection.

Nothing is shared with other processes, so a kill in the middle of a message hurts nobody else.
"""

from __future__ import annotations

import os
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from execution.messages import Answer, FromProcess, Progress, Submit, Submitted
from jobs.errors import InvalidRequest, NotSubmitted
from jobs.model import JobId

GAP_S = 0.1
"""Between two words of progress."""


class Wire:
    """The connection, for all threads of the process."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.lock = threading.RLock()
        self.cut = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def send(self, message: FromProcess) -> None:
        """Send a message; nothing is sent by processes that a handler has forked."""
        with self.lock:
            if not self.cut:
                self.connection.send(message)

    def _forked(self) -> None:
        # The connection is the parent's; its lock may be held by a thread that isn't here.
        self.cut = True
        self.lock = threading.RLock()


class Line:
    """What one attempt tells. Once it is over, threads that it left behind tell nothing."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._newest: Progress | None = None
        self._told: Progress | None = None
        self._next_at = 0.0
        self._due = threading.Event()
        self._teller: threading.Thread | None = None
        self._asking = threading.Lock()
        self._over = False

    def progress(self, fraction: float, note: str) -> None:
        """Tell the worker how far the attempt is: the newest word, ten times a second at most."""
        self._newest = Progress(fraction, note[:200])  # one store: safe from threads
        if time.monotonic() >= self._next_at:
            self._tell()
        elif not self._due.is_set():
            self._due.set()
            if self._teller is None:
                self._teller = threading.Thread(target=self._tell_later, daemon=True)
                self._teller.start()

    def submit(self, request: dict[str, Any]) -> JobId:
        """Submit a follow-up, and wait for its id.

        Raises:
            InvalidRequest: names the field that is wrong.
            NotSubmitted: Kafka doesn't acknowledge.
        """
        message = Submit(msgspec.json.encode(request))
        with self._asking:  # one question at a time: then the next message is its answer
            with self._wire.lock:
                if self._over or self._wire.cut:
                    raise RuntimeError("submit_sync: the attempt is over, or this is a fork of it")
                self._wire.send(message)
            answer: Submitted = self._wire.connection.recv()
        if answer.job_id is not None:
            return answer.job_id
        if answer.invalid:
            raise InvalidRequest(answer.error, answer.field)
        raise NotSubmitted(answer.error)

    def end(self, answer: Answer) -> None:
        """Tell what is left to tell, and the answer."""
        # A thread that the handler left behind may wait for an id: it is given before.
        with self._asking, self._wire.lock:
            self._tell()
            self._over = True
            self._wire.send(answer)
        self._due.set()

    def _tell(self) -> None:
        with self._wire.lock:
            newest = self._newest
            if newest is None or newest is self._told or self._over:
                return
            self._told = newest
            self._next_at = time.monotonic() + GAP_S
            self._wire.send(newest)

    def _tell_later(self) -> None:
        while not self._over:
            self._due.wait()
            time.sleep(max(0.0, self._next_at - time.monotonic()))
            self._due.clear()
            self._tell()
