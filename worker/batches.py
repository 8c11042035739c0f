"""A poll's records of one partition as one message of Faust's.

Faust 0.15.3 makes a message, an event and two tasks of each record, asks each time whether its
flow is stopped, and tells each step to its sensors: more than all the rest of a job costs. Its own
settings allow for another way: what its scheduler gives out is one message, whatever it is, and a
schema makes the event of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from aiokafka import ConsumerRecord
from faust import Schema
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP, AppT, Message
from faust.types.tuples import ConsumerMessage

from log.reader import Record


class Batches(DefaultSchedulingStrategy):
    """Gives a partition's records out together, one partition after another."""

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
        """Each partition, and its records."""
        return iter([(tp, batch) for tp, batch in records.items() if batch])


class BatchSchema(Schema[Any, Any]):
    """What is in the message is the event's value: records, as bytes. None can be malformed."""

    def loads_key(self, app: AppT, message: Message, **kwargs: Any) -> None:
        """Each record has its own."""

    def loads_value(self, app: AppT, message: Message, **kwargs: Any) -> Any:
        """The records."""
        return message.value


def message_of(tp: TP, batch: list[ConsumerRecord[Any, Any]], generation: int) -> ConsumerMessage:
    """The message of a batch: its place is that of the last record."""
    records = [Record(r.offset, r.timestamp or 0, r.key, r.value, r.headers) for r in batch]
    last = batch[-1]
    return ConsumerMessage(
        last.topic,
        last.partition,
        last.offset,
        (last.timestamp or 0) / 1000,
        last.timestamp_type,
        None,
        None,
        cast(Any, records),
        None,
        tp=tp,
        generation_id=generation,
    )
