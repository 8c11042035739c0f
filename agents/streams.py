"""Faust's agents: one for each topic, each handing its records to a feed.

Streams are read with ``noack``: nothing is acknowledged to Faust, since the feeds' places are
committed instead. Keys and values are taken as bytes; a record that can't be decoded would
otherwise restart the agent.
"""

from __future__ import annotations

from faust import Stream

from agents.feed import Feed
from log.reader import Record
from worker.app import JobsApp


def attach(app: JobsApp, feeds: dict[str, Feed]) -> None:
    """Make an agent for each feed; the key is the agent's name."""
    for name, feed in feeds.items():
        topic = app.topic(
            feed.topic, key_serializer="raw", value_serializer="raw", allow_empty=True
        )
        app.agent(topic, name=name)(_consumer(feed))


def _consumer(feed: Feed):  # type: ignore[no-untyped-def] # Faust has no name for this type
    async def consume(stream: Stream[bytes]) -> None:
        async for event in stream.noack().events():
            m = event.message
            # Faust turns the record's milliseconds into seconds; 2**53 µs are enough for both.
            record = Record(
                m.offset, round((m.timestamp or 0) * 1000), m.key, m.value, m.headers or ()
            )
            await feed.offer(m.partition, record)

    return consume
