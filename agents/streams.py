"""Faust's agents: one for each topic, each handing its records to a feed.

Streams are read with ``noack``: nothing is acknowledged to Faust, since the feeds' places are
committed instead. An event is all that a poll brought of one partition (``worker.batches``). Keys
and values stay bytes; a record that can't be decoded would otherwise restart the agent.
"""

from __future__ import annotations

from faust import Stream

from agents.feed import Feed
from log.reader import Record
from worker.app import JobsApp
from worker.batches import BatchSchema


def attach(app: JobsApp, feeds: dict[str, Feed]) -> None:
    """Make an agent for each feed; the key is the agent's name."""
    for name, feed in feeds.items():
        topic = app.topic(feed.topic, schema=BatchSchema(), allow_empty=True)
        app.agent(topic, name=name)(_consumer(feed))


def _consumer(feed: Feed):  # type: ignore[no-untyped-def] # Faust has no name for this type
    async def consume(stream: Stream[list[Record]]) -> None:
        async for event in stream.noack().events():
            feed.offer(event.message.partition, event.value)

    return consume
