"""aiokafka alone: reads jobs, does what they say, writes two records for each, commits."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.peers.apps.note import note

TAG, KAFKA = os.environ["BENCH_TAG"], os.environ["BENCH_KAFKA"]
AT_ONCE = 500
BATCH_BYTES = 131_072


async def main() -> None:
    """Until it is ended from outside."""
    consumer = AIOKafkaConsumer(
        f"{TAG}-jobs",
        bootstrap_servers=KAFKA,
        group_id=TAG,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=6_000,
        heartbeat_interval_ms=1_000,
        fetch_max_wait_ms=50,
    )
    producer = AIOKafkaProducer(bootstrap_servers=KAFKA, acks="all", max_batch_size=BATCH_BYTES)
    await consumer.start()
    await producer.start()
    while True:
        batches = await consumer.getmany(timeout_ms=50, max_records=AT_ONCE)
        written: list[Any] = []
        for tp, records in batches.items():
            jobs = [(record.offset, json.loads(record.value)) for record in records]
            rows = [(f"{tp.partition}-{offset}".encode(), job) for offset, job in jobs]
            written += await write(producer, tp.partition, "executing", rows)
            pauses = [job["ms"] for _, job in jobs if job["ms"]]
            if pauses:
                await asyncio.gather(*(asyncio.sleep(ms / 1000) for ms in pauses))
            for _, job in jobs:
                if job["kind"] == "noted":
                    note(job["n"])
            written += await write(producer, tp.partition, "done", rows)
        if batches:
            await asyncio.gather(*written)
            await consumer.commit()


async def write(
    producer: Any, partition: int, status: str, rows: list[tuple[bytes, dict[str, Any]]]
) -> list[Any]:
    """Rows of one partition, as few batches; what is to be awaited."""
    sent, batch, now = [], producer.create_batch(), round(time.time() * 1000)
    for key, job in rows:
        value = json.dumps({"status": status, "n": job["n"]}).encode()
        if batch.append(timestamp=now, key=key, value=value) is None:  # it is full
            sent.append(await producer.send_batch(batch, f"{TAG}-changelog", partition=partition))
            batch = producer.create_batch()
            batch.append(timestamp=now, key=key, value=value)
    sent.append(await producer.send_batch(batch, f"{TAG}-changelog", partition=partition))
    return sent


if __name__ == "__main__":
    uvloop.run(main())
