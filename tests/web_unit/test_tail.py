"""The end of the changelog, told to those who listen."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from jobs.codec import encode_row
from jobs.model import Status
from log.reader import Record
from tables.fold import Fence
from tests.web_unit.fakes import NAMES, Log, Worker, row
from web import tail
from web.cursor import MAX_PARTITIONS
from web.listener import Listener, Wanted
from web.tail import Tail

OWNER = Fence(1, "a")


def appended(log: Log, partition: int) -> None:
    """A job of this partition is done."""
    records = log.changelog.setdefault(partition, [])
    n = len(records)
    records.append(
        Record(n, 1_000, b"%d-%d" % (partition, n), encode_row(row(Status.DONE)), OWNER.headers())
    )


async def next_of(listener: Listener) -> list[dict[str, Any]]:
    """The events that come next: id, event and data of each."""
    blocks = (await listener.next(10)).decode().split("\n\n")[:-1]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


@pytest.mark.asyncio
@pytest.mark.parametrize("count", [2, MAX_PARTITIONS, MAX_PARTITIONS + 1])
async def test_events_have_ids_unless_there_are_very_many_partitions(count: int) -> None:
    log = Log({})
    appended(log, 1)
    worker = Worker(log, {0: {}}, count=count)
    told, listener = Tail.of(worker.parts), Listener(Wanted())
    async with told.listening():
        told.join(listener)
        appended(log, 1)
        (event,) = await next_of(listener)
    assert json.loads(event["data"])["id"] == "1-1"
    ids = ".".join(["0", "2", *["0"] * (count - 2)])
    assert event.get("id") == (ids if count <= MAX_PARTITIONS else None)


@pytest.mark.asyncio
async def test_when_kafka_is_back_that_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "AGAIN_S", 0.0)
    log = Log({})
    worker = Worker(log, {0: {}}, count=1)
    told = Tail(worker.parts.reader, NAMES.changelog, lambda: 1)
    early, late = Listener(Wanted()), Listener(Wanted())
    async with told.listening():
        told.join(early)
        log.fails = KafkaError()
        (event,) = await next_of(early)
        assert event["event"] == "problem"
        assert "it is tried again" in event["data"]
        told.join(late)
        log.fails = None
        events = await next_of(late)
        while len(events) < 2:
            events += await next_of(late)
        assert [each["event"] for each in events] == ["problem", "recovered"]
        (event,) = await next_of(early)
        assert event["event"] == "recovered"
        appended(log, 0)
        (event,) = await next_of(early)
        assert event["event"] == "transition"
    await asyncio.sleep(0)
