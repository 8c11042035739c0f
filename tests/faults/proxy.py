"""A network between one worker and the brokers, which can be cut for that worker alone.

Clients go to the addresses that brokers tell them. So the proxy puts a port of its own in place
of each broker's port in those answers (Metadata, FindCoordinator); nothing else is changed, and
it works with any broker and any number of them. The answers' lengths stay as they are.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
METADATA, FIND_COORDINATOR, JOIN_GROUP, HEARTBEAT = 3, 10, 11, 12  # API keys
# The last versions before the compact encodings, which are not read here.
READ_UP_TO = {METADATA: 8, FIND_COORDINATOR: 2}
MAX_FRAME = 100 * 1024 * 1024
CONTROL_S = 10.0

Address = tuple[str, int]


class Proxy:
    """``with Proxy(kafka) as network: worker(KAFKA=network.address) … network.cut()``

    It runs in a thread of its own; its methods are for the test's.
    """

    def __init__(self, bootstrap: str) -> None:
        """``bootstrap``: the brokers, ``host:port`` with commas between."""
        self._brokers = [_address(each) for each in bootstrap.split(",")]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._ports: dict[Address, int] = {}
        self._servers: list[asyncio.Server] = []
        self._links: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._refusing = False
        self._latency_s = 0.0
        self._swallowed: dict[int, int] = {}  # kind → how many more

    @property
    def address(self) -> str:
        """What the worker takes for Kafka's."""
        return ",".join(f"{HOST}:{self._ports[broker]}" for broker in self._brokers)

    def cut(self) -> None:
        """Nothing passes any more and nobody is told: connections stay open."""
        self._do(self._set(passing=False))

    def reset(self) -> None:
        """All connections are reset, and new ones at once."""
        self._do(self._set(refusing=True))

    def slow(self, latency_s: float) -> None:
        """Everything takes so much longer, each way."""
        self._do(self._set(latency_s=latency_s))

    def swallow(self, kind: int, times: int) -> None:
        """So many of the next requests of one kind (Kafka's API key) never arrive."""
        self._swallowed[kind] = times

    def heal(self) -> None:
        """As it was. What was on its way in open connections arrives."""
        self._do(self._set())

    def close(self) -> None:
        """Close everything."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CONTROL_S)
        self._loop.close()

    def __enter__(self) -> Self:
        self._thread.start()
        for broker in self._brokers:
            self._do(self._port(broker))
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CONTROL_S)

    async def _set(
        self, *, passing: bool = True, refusing: bool = False, latency_s: float = 0.0
    ) -> None:
        self._refusing, self._latency_s = refusing, latency_s
        if passing:
            self._passing.set()
        else:
            self._passing.clear()
        if refusing:
            await self._end_links()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        await self._end_links()

    async def _end_links(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _port(self, broker: Address) -> int:
        """Our port for a broker; it is opened when we first hear of the broker."""
        if broker not in self._ports:
            self._ports[broker] = 0  # nobody else opens it meanwhile

            async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await self._connected(broker, reader, writer)

            server = await asyncio.start_server(connected, HOST, 0)
            self._servers.append(server)
            self._ports[broker] = server.sockets[0].getsockname()[1]
        while not self._ports[broker]:
            await asyncio.sleep(0)
        return self._ports[broker]

    async def _connected(
        self, broker: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            if not self._refusing:
                await self._link(broker, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one side has ended, or we end it
        finally:
            self._links.discard(task)
            if self._refusing:  # a reset, with no good-bye
                end_at_once = struct.pack("ii", 1, 0)
                end = writer.get_extra_info("socket")
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, end_at_once)
            writer.transport.abort()

    async def _link(
        self, broker: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        up_reader, up_writer = await asyncio.open_connection(*broker)
        asked: dict[int, tuple[int, int]] = {}  # correlation id → what was asked, which version

        async def asks(frame: bytes) -> bytes | None:
            key, version, correlation = struct.unpack_from(">hhi", frame)
            if self._swallowed.get(key, 0):
                self._swallowed[key] -= 1
                return None
            if key in READ_UP_TO:
                assert version <= READ_UP_TO[key], f"version {version} of {key} isn't read here"
                asked[correlation] = (key, version)
            return frame

        async def answers(frame: bytes) -> bytes:
            (correlation,) = struct.unpack_from(">i", frame)
            if correlation not in asked:
                return frame
            return await self._redirected(frame, *asked.pop(correlation))

        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, up_writer, asks))
                both.create_task(self._pump(up_reader, writer, answers))
        except* (OSError, asyncio.IncompleteReadError):
            pass  # one side has closed; then the other is closed, too
        finally:
            up_writer.transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        through: Callable[[bytes], Awaitable[bytes | None]],
    ) -> None:
        """Frames from one side to the other, in order, each late by the latency."""
        loop = asyncio.get_running_loop()
        way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1000)

        async def deliver() -> None:
            while True:
                due, frame = await way.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self._passing.wait()
                writer.write(struct.pack(">i", len(frame)) + frame)
                await writer.drain()

        async with asyncio.TaskGroup() as group:
            group.create_task(deliver())
            while True:
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                assert 0 <= size <= MAX_FRAME, f"a frame of {size} bytes"
                frame = await through(await reader.readexactly(size))
                if frame is not None:
                    await way.put((loop.time() + self._latency_s, frame))

    async def _redirected(self, frame: bytes, key: int, version: int) -> bytes:
        """The answer with our ports in it."""
        changed = bytearray(frame)
        for at, broker in _brokers_in(frame, key, version):
            struct.pack_into(">i", changed, at, await self._port(broker))
        return bytes(changed)


def _brokers_in(frame: bytes, key: int, version: int) -> list[tuple[int, Address]]:
    """Each broker that an answer names, with the place of its port."""
    found: list[tuple[int, Address]] = []
    at = 4  # behind the correlation id

    def text() -> str:
        nonlocal at
        (size,) = struct.unpack_from(">h", frame, at)
        at += 2 + max(size, 0)  # -1: none
        return frame[at - max(size, 0) : at].decode()

    def broker() -> None:
        nonlocal at
        at += 4  # node id
        host = text()
        (port,) = struct.unpack_from(">i", frame, at)
        if host:  # no coordinator: no host
            found.append((at, (host, port)))
        at += 4

    if key == METADATA:
        at += 4 if version >= 3 else 0  # throttle time
        (count,) = struct.unpack_from(">i", frame, at)
        at += 4
        for _ in range(count):
            broker()
            if version >= 1:
                text()  # rack
    else:
        at += 4 if version >= 1 else 0  # throttle time
        at += 2  # error
        if version >= 1:
            text()  # its message
        broker()
    return found


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)
