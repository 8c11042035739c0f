"""Clients that write down all that they ask and are told: the input of the checker.

A client is anything that calls one after another: a reader's view is judged by the order of its
calls. Workers may be away at any time; no answer is a line like any other.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import aiohttp
from confluent_kafka import KafkaException, Message, Producer

# How long an answer may take; a worker that passes a request on waits a second less.
GET_S = 8.0
POST_S = 15.0
FORWARDED = {"X-Jobs-Forwarded": "1"}  # what workers ask each other with
POLL_S = 0.005

Workers = Callable[[], Sequence[str]]  # addresses of the workers that may be there now


class Recorder:
    """Writes lines to a file."""

    def __init__(self, path: Path) -> None:
        self.lines = 0
        self._out: IO[str] = path.open("a")

    def note(self, **line: Any) -> None:
        """Write one line."""
        self._out.write(json.dumps(line) + "\n")
        self.lines += 1

    def close(self) -> None:
        """Write what is left."""
        self._out.close()


class Events:
    """Writes down what is done to workers."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "events.jsonl"

    def note(self, what: str, worker: str, **more: Any) -> None:
        """Something happens now to the worker with this port (or this end of its name)."""
        with self._path.open("a") as out:
            out.write(json.dumps({"what": what, "worker": worker, "at": time.time()} | more) + "\n")


class Http:
    """HTTP calls, recorded. One for all clients of a process."""

    def __init__(self, recorder: Recorder, workers: Workers, seed: int) -> None:
        self._recorder = recorder
        self._workers = workers
        self._random = random.Random(seed)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Http:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self,
        client: str,
        method: str,
        path: str,
        body: str | None = None,
        *,
        worker: str | None = None,
        forwarded: bool = False,
    ) -> tuple[int | None, Any]:
        """Ask a worker, a random one unless told; status and JSON, or ``None`` twice."""
        assert self._session is not None
        line: dict[str, Any] = {"client": client, "method": method, "path": path}
        url = worker or self._random.choice(self._workers() or [""])
        line |= {"worker": url, "body": body, "at": time.time(), "begin": time.monotonic()}
        line |= {"forwarded": True} if forwarded else {}
        limit = aiohttp.ClientTimeout(total=GET_S if method == "GET" else POST_S, sock_connect=2.0)
        try:
            if not url:
                await asyncio.sleep(0.05)  # nobody is there
                raise ConnectionError("there is no worker")
            headers = FORWARDED if forwarded else None
            async with self._session.request(
                method, url + path, data=body, headers=headers, timeout=limit
            ) as reply:
                # A 202 is given once; an answer that is cut short leaves no status behind.
                answer = json.loads(await reply.read())
                line |= {"status": reply.status, "answer": answer}
                return reply.status, answer
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            line["error"] = repr(exc)
            return None, None
        except asyncio.CancelledError:
            line["error"] = "the client gave up"
            raise
        finally:
            self._recorder.note(**line, end=time.monotonic())


class Kafka:
    """Records produced straight to a topic, recorded with their delivery reports."""

    def __init__(self, recorder: Recorder, kafka: str, timeout_s: float = 30.0) -> None:
        self._recorder = recorder
        self._producer = Producer(
            {
                "bootstrap.servers": kafka,
                "linger.ms": 5,
                "acks": "all",
                "log_level": 0,  # brokers that are away are the point
                "message.timeout.ms": round(timeout_s * 1000),
            }
        )
        self._poll: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Kafka:
        self._poll = asyncio.create_task(self._polling())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait for all reports: each record is acknowledged, or has failed for good."""
        while len(self._producer):
            await asyncio.sleep(POLL_S)
        if self._poll is not None:
            self._poll.cancel()

    async def produce(
        self, client: str, topic: str, short: str, partition: int, value: str
    ) -> str | None:
        """A record; the id of its place once it is acknowledged, ``None`` if it isn't.

        Args:
            short: what the checker calls the topic.
        """
        line: dict[str, Any] = {"client": client, "method": "PRODUCE", "path": short}
        line |= {"body": value, "at": time.time(), "begin": time.monotonic()}
        loop = asyncio.get_running_loop()
        report: asyncio.Future[str | None] = loop.create_future()

        def reported(error: Any, message: Message) -> None:
            # Here, not by the waiting task, which may have been cancelled.
            place = f"{message.partition()}-{message.offset()}"
            if error is None:
                line.update(status=0, answer={"id": place})
            else:
                line["error"] = str(error)
            self._recorder.note(**line, end=time.monotonic())
            if not report.done():
                report.set_result(None if error else place)

        try:
            self._producer.produce(topic, value.encode(), None, partition, on_delivery=reported)
        except (BufferError, KafkaException) as exc:
            self._recorder.note(**line, error=repr(exc), end=time.monotonic())
            return None
        return await report

    async def _polling(self) -> None:
        while True:
            self._producer.poll(0)
            await asyncio.sleep(POLL_S)
