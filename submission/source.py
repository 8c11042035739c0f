"""Where lines come from: a file, which can be read twice, or a stream."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from pathlib import Path

STEP_BYTES = 1024 * 1024  # read at once, and sent together


class Source:
    """Bytes of a file or a stream. ``size`` is a file's; ``None``: it is a stream."""

    def __init__(self, path: str) -> None:
        """``-``: standard input.

        Raises:
            OSError: it can't be opened.
        """
        self.path = None if path == "-" else Path(path)
        # Standard input as a file descriptor: Python's buffer would wait until it is full.
        self._handle = os.open(path, os.O_RDONLY) if self.path else sys.stdin.fileno()
        told = os.fstat(self._handle)
        if stat.S_ISDIR(told.st_mode):
            raise IsADirectoryError(21, "it is a folder")
        self.size = told.st_size if self.path and stat.S_ISREG(told.st_mode) else None

    async def steps(self) -> AsyncIterator[bytes]:
        """All of it from the start, some at a time, at last nothing; of a stream what there is."""
        if self.size is not None:
            os.lseek(self._handle, 0, os.SEEK_SET)
        data = b"?"
        while data:
            data = self._read() if self.size is not None else await self._wait()
            yield data
            await asyncio.sleep(0)  # a signal may have come

    def close(self) -> None:
        """Let a file go."""
        if self.path:
            os.close(self._handle)

    def _read(self) -> bytes:
        return os.read(self._handle, STEP_BYTES)

    async def _wait(self) -> bytes:
        """In a thread that nobody waits for: it may be for ever."""
        found: Future[bytes] = Future()

        def read() -> None:
            try:
                found.set_result(self._read())
            except BaseException as exc:
                found.set_exception(exc)

        threading.Thread(target=read, daemon=True).start()
        return await asyncio.wrap_future(found)
