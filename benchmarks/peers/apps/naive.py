"""A Faust agent with a table, in the manner of Faust's documentation."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import faust

from benchmarks.peers.apps.note import note

app = faust.App(
    os.environ["BENCH_TAG"],
    broker=f"kafka://{os.environ['BENCH_KAFKA']}",
    topic_partitions=int(os.environ["BENCH_PARTITIONS"]),
    web_enabled=False,
    datadir=os.environ["BENCH_DATA"],
    # Apache Kafka takes no shorter session unless told to; the embedded broker needs a short one.
    broker_session_timeout=6.0,
    broker_rebalance_timeout=6.0,
    broker_heartbeat_interval=1.0,
)


class Job(faust.Record):
    """As it stands in the topic, in JSON."""

    kind: str
    n: int
    ms: int


topic = app.topic(f"{os.environ['BENCH_TAG']}-jobs", value_type=Job)
states = app.Table("states", partitions=int(os.environ["BENCH_PARTITIONS"]))


@app.agent(topic, concurrency=int(os.environ["BENCH_CONCURRENCY"]))
async def run(stream: faust.StreamT[Any]) -> None:
    """One job after another."""
    async for event in stream.events():
        job: Job = event.value
        id = f"{event.message.partition}-{event.message.offset}"
        states[id] = {"status": "executing", "n": job.n}
        if job.ms:
            await asyncio.sleep(job.ms / 1000)
        if job.kind == "noted":
            note(job.n)
        states[id] = {"status": "done", "n": job.n}
