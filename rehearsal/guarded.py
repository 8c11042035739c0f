"""A child process that runs handlers, and a parent that says so if they end it.

A handler may call ``os._exit``, crash the interpreter or use up the memory. Then a rehearsal must
not end with whatever exit code that has, 0 perhaps.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

_BYTES = 4096
_ENDED = b"\1"


class Death(NamedTuple):
    """The child ended by itself. ``running``: what it ran."""

    how: str
    running: str


class Board:
    """What the child says to the parent, also by its death: memory that both have."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _BYTES)

    def running(self, names: Iterable[str]) -> None:
        """This is run now."""
        text = ", ".join(names).encode()[: _BYTES - 2]
        self._memory[1 : len(text) + 2] = text + b"\0"

    def ended(self) -> None:
        """The child has come to its own end; the exit code is its own."""
        self._memory[:1] = _ENDED

    def read(self) -> tuple[bool, str]:
        """Whether it has ended, and what it ran."""
        text = self._memory[1:].partition(b"\0")[0]
        return self._memory[:1] == _ENDED, text.decode("utf-8", "replace")


def guarded(board: Board, died: Callable[[Death], int]) -> None:
    """Go on in a child process. The parent stays here until that has ended, and ends with its
    exit code, or with what ``died`` says; kill -9 of the parent ends the child. With no ``fork``,
    all goes on in one process."""
    if not hasattr(os, "fork"):
        return
    parents, held = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(held)
        threading.Thread(target=_end_with_parent, args=(parents,), daemon=True).start()
        os.setpgid(0, 0)  # so that Ctrl-C comes once, from the parent
        return
    os.close(parents)
    stopped: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        stopped.append(number)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    ended, running = board.read()
    if not ended and -code in stopped:
        code = 128 - code  # as a shell tells it
    elif not ended:
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        code = died(Death(how, running))
    os._exit(code)


def _end_with_parent(pipe: int) -> None:
    """The pipe's other end is open for as long as the parent lives."""
    os.read(pipe, 1)
    os._exit(1)
