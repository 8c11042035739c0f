"""A peer's worker: a process group of its own, with its log in a file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from devbroker.guard import die_with_parent
from tests.harness import ROOT

STOP_WITHIN_S = 20.0
TAIL_LINES = 15


class PeerError(Exception):
    """A peer can't be had, or doesn't do its work; the text says which and why."""


class Running:
    """``with Running(...) as worker:`` — at the end nothing of it is left."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        log: Path,
        *,
        cwd: Path = ROOT,
    ) -> None:
        self.name = name
        self._log = log
        self.started_at = time.time()
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raises:
        PeerError: it has ended by itself."""
        if self._process.poll() is not None:
            code = self._process.returncode
            raise PeerError(f"{self.name} has ended with code {code}. It said:\n{self.tail()}")

    def stop(self) -> None:
        """SIGTERM, and a while later SIGKILL."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_WITHIN_S)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to all of its processes at once, as when a machine dies."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-TAIL_LINES:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _signal(self, number: signal.Signals) -> None:
        # The group outlives its first process: what that one has started is in it, too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
