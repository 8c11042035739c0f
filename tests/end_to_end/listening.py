"""A listener to events, by a socket of its own: what it was told, and when it ended."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.harness import WorkerProcess, until


@dataclass
class Told:
    """One event."""

    id: str
    event: str
    data: Any


@dataclass
class Listening:
    """Reads ``/job/events`` of a worker until it ends or is left."""

    worker: WorkerProcess
    query: str = ""
    last_id: str | None = None
    told: list[Told] = field(default_factory=list)
    comments: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.worker.port, timeout=60)
        headers = {} if self.last_id is None else {"Last-Event-ID": self.last_id}
        connection.request("GET", f"/job/events{self.query}", headers=headers)
        assert connection.sock is not None
        self.socket = connection.sock
        self.answer = connection.getresponse()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        if self.answer.status == 200:
            until(lambda: self.last_id is not None, 30, "the first id")

    def _read(self) -> None:
        event, data = "", ""
        try:
            for line in self.answer:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "id":
                    self.last_id = value
                elif name == "event":
                    event = value
                elif name == "data":
                    data = value
                elif name == "" and value:
                    self.comments += 1
                elif not name and data:
                    self.told.append(Told(self.last_id or "", event, json.loads(data)))
                    event, data = "", ""
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            pass  # its worker was killed, or it was left
        self.ended.set()

    def leave(self) -> None:
        """Close the connection."""
        import socket

        if not self.ended.is_set():
            self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.answer.close()

    def transitions(self) -> list[tuple[str, str, int]]:
        """What was told: id, status, attempt."""
        return [
            (t.data["id"], t.data["status"], t.data["attempt"])
            for t in list(self.told)
            if t.event == "transition"
        ]

    def problems(self) -> list[str]:
        """What went wrong, as it was told."""
        return [t.data["detail"] for t in list(self.told) if t.event == "problem"]


class Crowd:
    """Many listeners of one worker, read by one thread until they are left.

    As many threads would fight for the interpreter's lock: minutes for what takes a second.
    ``told`` has what each was told, a line of data per event, as it came.
    """

    def __init__(self, worker: WorkerProcess, size: int) -> None:
        self.told: list[list[bytes]] = [[] for _ in range(size)]
        self._listening = 0
        self._url = f"http://127.0.0.1:{worker.port}/job/events"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        until(lambda: self._listening == size, 60, "all have their first id")

    def _read(self) -> None:
        self._reading = self._loop.create_task(self._all())
        try:
            self._loop.run_until_complete(self._reading)
        except asyncio.CancelledError:
            pass  # they were left
        finally:
            self._loop.close()

    async def _all(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(self._one(session, told) for told in self.told))

    async def _one(self, session: aiohttp.ClientSession, told: list[bytes]) -> None:
        heard = False
        async with session.get(self._url, timeout=aiohttp.ClientTimeout(total=None)) as answer:
            async for line in answer.content:
                if line.startswith(b"data: "):
                    told.append(line)
                elif line.startswith(b"id: ") and not heard:
                    heard = True
                    self._listening += 1

    def leave(self) -> None:
        """Close all connections."""
        self._loop.call_soon_threadsafe(self._reading.cancel)
        self._thread.join(10)
