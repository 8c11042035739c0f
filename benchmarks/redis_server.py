"""A Redis that keeps what it is told, and enough of its protocol to ask it how much is left."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from benchmarks.processes import PeerError, Running
from tests.harness import free_port

READY_WITHIN_S = 20.0
# What Redis's documentation recommends where jobs shall outlive it: a second's worth may be lost
# with the machine, and nothing with the process.
SETTINGS = ("--appendonly", "yes", "--appendfsync", "everysec", "--save", "")


class Redis:
    """``with Redis(folder) as redis: … redis.address …``"""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise PeerError("there is no `redis-server`; on Debian: apt install redis-server")
        self.address = f"127.0.0.1:{free_port()}"
        folder.mkdir()
        command = [program, "--port", self.address.split(":")[1], "--bind", "127.0.0.1"]
        command += ["--dir", str(folder), *SETTINGS]
        self._server = Running("redis-server", command, {}, folder / "redis.log")

    def __enter__(self) -> Self:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            self._server.check()
            try:
                ask(self.address, "PING")
            except OSError:
                if time.monotonic() > deadline:
                    self._server.kill()
                    raise PeerError(f"redis-server isn't ready after {READY_WITHIN_S} s") from None
                time.sleep(0.05)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()


def version() -> str:
    """Of the server that is installed."""
    asked = ["redis-server", "--version"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return next((word[2:] for word in said.split() if word.startswith("v=")), "unknown")


def ask(address: str, *command: str) -> int:
    """A command whose answer is a number; any other answer is 0."""
    asking = Asking(address)
    try:
        return asking.ask(*command)
    finally:
        asking.close()


class Asking:
    """A connection of its own."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=10)
        self._file = self._socket.makefile("rb")

    def ask(self, *command: str) -> int:
        words = [word.encode() for word in command]
        sent = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        self._socket.sendall(b"*%d\r\n%s" % (len(words), sent))
        answer = self._file.readline()
        return int(answer[1:]) if answer.startswith(b":") else 0

    def close(self) -> None:
        self._file.close()
        self._socket.close()
