"""The worker, with a consumer that is made to drop records on purpose.

DROP is JSON: topic → list of [partition, offset] that are fetched and never delivered.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from faust.types import TP

from app import app
from worker.batches import Batches

_DROP = {
    (topic, p, offset)
    for topic, places in json.loads(os.environ["DROP"]).items()
    for p, offset in places
}
_iterate = Batches.iterate


def _dropping(self: Batches, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, list[Any]]]:
    for tp, batch in _iterate(self, records):
        kept = [r for r in batch if (tp.topic, tp.partition, r.offset) not in _DROP]
        if kept:
            yield tp, kept


Batches.iterate = _dropping  # type: ignore[method-assign]

__all__ = ["app"]
