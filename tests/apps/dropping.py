"""The worker, with a consumer that is made to drop records on purpose.

DROP is JSON: topic → list of [partition, offset] that are fetched and never delivered.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator

from faust.transport.consumer import Consumer
from faust.types import TP, Message

from app import app
from worker.transport import JobsConsumer

_DROP = {
    (topic, p, offset)
    for topic, places in json.loads(os.environ["DROP"]).items()
    for p, offset in places
}
_getmany = JobsConsumer.getmany


async def _dropping(self: Consumer, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
    async for tp, message in _getmany(self, timeout):
        if (tp.topic, tp.partition, message.offset) not in _DROP:
            yield tp, message


JobsConsumer.getmany = _dropping  # type: ignore[method-assign]

__all__ = ["app"]
