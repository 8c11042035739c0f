"""A command at a terminal of some width, as a person sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from typing import Any, NamedTuple

from tests.harness import ROOT, Cluster

COLOURS = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3[0-8]|4[0-8]|9[0-7])[\d;]*m")
UP = "\x1b[1A"
_ESCAPES = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")


class Seen(NamedTuple):
    """What came on the screen; ``stdout`` if that is a pipe."""

    code: int
    screen: str
    stdout: str

    @property
    def lines(self) -> list[str]:
        """What is left on the screen: a bar is written over again and again, and goes."""
        left: list[str] = []
        for line in self.screen.replace("\r\n", "\n").split("\n"):
            if UP in line:
                left.pop()
            left.append(_ESCAPES.sub("", line.rpartition(UP)[2]).rpartition("\r")[2])
        return left


def at_terminal(
    *args: str, cluster: Cluster, columns: int = 80, piped: bool = False, **settings: str
) -> Seen:
    """Run a command there to its end. ``piped``: only standard error is the terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environ: dict[str, Any] = {**cluster.environ(), "TERM": "xterm-256color", **settings}
    for name in ("COLUMNS", "LINES"):
        environ.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "faust", "-A", "app", *args],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if piped else theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        screen = b"".join(iter(lambda: _read(ours), b""))
        stdout = process.communicate(timeout=60)[0] or b""
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return Seen(process.returncode, screen.decode(), stdout.decode())


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux's way to say that nobody has its other end any more
        return b""
