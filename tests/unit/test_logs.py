"""Which lines are left out, and how lines look as JSON."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError

from worker import logs
from worker.logs import JsonFormatter, Once


def record(
    text: str,
    *args: object,
    name: str = "aiokafka",
    level: int = logging.ERROR,
    line: int = 1,
    **fields: Any,
) -> logging.LogRecord:
    made = logging.LogRecord(name, level, "/somewhere.py", line, text, args, None)
    made.__dict__.update(fields)
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("worker.logs.time.monotonic", lambda: now[0])
    return now


def test_the_same_line_is_told_once_and_then_with_a_count(clock: list[float]) -> None:
    once = Once()
    assert once.filter(record("odd: %s", 1))
    assert once.filter(record("odd: %s", 2)), "another text"
    assert not once.filter(record("odd: %s", 1))
    assert not once.filter(record("odd: %s", 1))
    clock[0] += logs.AGAIN_S
    again = record("odd: %s", 1)
    assert once.filter(again)
    assert again.getMessage() == "odd: 1 (and 2 times more since it was last told)"


@pytest.mark.parametrize(
    ("name", "level"), [("jobs.handler", logging.ERROR), ("agents.resume", logging.INFO)]
)
def test_handlers_and_news_are_never_left_out(name: str, level: int) -> None:
    once = Once()
    assert all(once.filter(record("the same", name=name, level=level)) for _ in range(3))


def test_of_a_broker_that_is_gone_one_line_is_left(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    once = Once()
    first = record("Unable connect to node with id %s: %s", 1, "refused.")
    assert once.filter(first)
    assert first.getMessage().startswith("no connection to Kafka: Unable connect to node with id 1")
    clock[0] += 1
    assert not once.filter(
        record("Failed fetch messages from %s: %s", 1, "NodeNotReadyError", line=2)
    )
    assert not once.filter(
        record("jobs-%d waits for Kafka", 1, name="agents.feed", level=logging.WARNING, line=3)
    )
    assert once.filter(record("the disk is full", name="tables.cache")), "that is something else"
    clock[0] += logs.BACK_S
    once.look(answered_at=100.5)
    assert caplog.messages == [], "no answer since it was lost"
    once.look(answered_at=102.0)
    assert caplog.messages == ["Kafka answers again, after 1s (2 lines on it were left out)"]
    once.look(answered_at=103.0)
    assert len(caplog.messages) == 1
    assert once.filter(record("Unable connect to node with id %s: %s", 1, "refused."))


async def reset_below_aiokafka() -> BaseException:
    """The error of a real connection that a broker resets at its first request."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4)
        end = writer.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(KafkaConnectionError) as caught:
            await AIOKafkaConnection("127.0.0.1", port).connect()
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    return caught.value.__cause__


async def reset_below_a_handler() -> BaseException:
    try:
        raise ConnectionResetError(104, "of somebody's own")
    except ConnectionResetError as exc:
        return exc


async def no_connection() -> BaseException:
    return RuntimeError("of aiokafka.conn by its name only")


@pytest.mark.parametrize(
    ("error", "told"),
    [(reset_below_aiokafka, False), (reset_below_a_handler, True), (no_connection, True)],
)
def test_a_lost_connection_that_aiokafka_saw_to_is_not_told_by_asyncio(
    error: Callable[[], Awaitable[BaseException]], told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def leave_unseen() -> None:
        unseen = asyncio.get_running_loop().create_future()
        unseen.set_exception(await error())

    asyncio.run(leave_unseen())
    gc.collect()
    (complaint,) = (each for each in caplog.records if each.name == "asyncio")
    assert "Future exception was never retrieved" in complaint.getMessage()
    assert Once().filter(complaint) is told


def test_a_record_that_cannot_be_formatted_is_for_its_handler_to_tell() -> None:
    assert Once().filter(record("%s %s", 1))


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST_KEPT", 3)
    once = Once()
    for i in range(10):
        once.filter(record("line %d", i))
    assert not once.filter(record("line %d", 9))
    assert once.filter(record("line %d", 0)), "forgotten"


def test_a_line_of_json_has_the_attempt_and_the_exception() -> None:
    try:
        raise LookupError("not\nthere")
    except LookupError:
        made = record("job 3-1: no %s", "luck", prefix="job 3-1: ", job="3-1", attempt=2)
        made.exc_info = sys.exc_info()
    text = JsonFormatter("host:1").format(made)
    assert "\n" not in text
    line = json.loads(text)
    assert line["time"].endswith("+00:00")
    assert line["exception"].endswith("LookupError: not\nthere")
    del line["time"], line["exception"]
    assert line == {
        "level": "error",
        "logger": "aiokafka",
        "message": "no luck",
        "job": "3-1",
        "attempt": 2,
        "worker": "host:1",
    }


def test_text_that_json_cannot_hold_is_written_all_the_same() -> None:
    assert json.loads(JsonFormatter("me").format(record("a\udc80b")))["message"] == "a?b"
