"""What one would write first: a Faust agent that acknowledges each job when it is done.

``OUT`` names a file; the id of each job that was begun, then of each that is done, is a line.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import faust

app = faust.App(
    os.environ["JOBS_APP_ID"],
    broker=f"kafka://{os.environ['KAFKA']}",
    web_enabled=False,
    topic_disable_leader=True,
    broker_session_timeout=6.0,  # Apache Kafka takes no less unless told to
    broker_rebalance_timeout=6.0,
    broker_heartbeat_interval=1.0,
    broker_commit_interval=0.2,
    stream_wait_empty=False,
    datadir=os.environ["DATADIR"],
)
topic = app.topic(os.environ["JOBS_TOPIC"], value_serializer="raw")


def note(word: str, event: faust.EventT[bytes]) -> None:
    """Add a line to the file; it is there when a kill comes."""
    with Path(os.environ["OUT"]).open("a") as out:
        out.write(f"{word} {event.message.partition}-{event.message.offset}\n")


async def work(event: faust.EventT[bytes]) -> None:
    """One job, acknowledged when it is done: a slow one doesn't hold up those behind it."""
    note("begun", event)
    await asyncio.sleep(json.loads(event.value)["data"])
    note("done", event)
    event.ack()


@app.agent(topic)
async def run(stream: faust.StreamT[bytes]) -> None:
    """Start each job as it comes."""
    tasks = set()
    async for event in stream.noack().events():  # type: ignore[attr-defined] # Faust's type lacks it
        task = asyncio.ensure_future(work(event))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
