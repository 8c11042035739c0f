"""How far somebody has listened: the changelog's next place in each partition, as text.

``1042.77.0.3``: partition 0 has been told up to place 1042, and so on. It is the same at any
worker, since all read the same log. There is none of very many partitions: it wouldn't fit into the
head of a request.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from jobs.model import MAX_OFFSET
from web.problems import BadRequest

MAX_PARTITIONS = 1_000

_FORM = re.compile(r"\d{1,19}(\.\d{1,19})*", re.ASCII)


def encode(places: Sequence[int]) -> str:
    """As it is sent; nothing of more than ``MAX_PARTITIONS``."""
    return ".".join(map(str, places)) if len(places) <= MAX_PARTITIONS else ""


def line(cursor: str) -> bytes:
    """The line of an event that has this id."""
    return b"id: %s\n" % cursor.encode() if cursor else b""


def decode(text: str, partitions: int) -> list[int]:
    """The place of each partition. Those that have been added since are told from their start.

    Raises:
        BadRequest: it is no cursor of this worker's.
    """
    if partitions > MAX_PARTITIONS:
        raise BadRequest(
            f"last_event_id: with more than {MAX_PARTITIONS} partitions events have no ids (there "
            f"are {partitions}); leave it out to begin with what happens next",
            field="last_event_id",
        )
    places = [int(part) for part in text.split(".")] if _FORM.fullmatch(text) else []
    if not 1 <= len(places) <= partitions or max(places) > MAX_OFFSET:
        raise BadRequest(
            "last_event_id: must be the id of an event of this stream (there are "
            f"{partitions} partitions); leave it out to begin with what happens next",
            field="last_event_id",
        )
    return places + [0] * (partitions - len(places))
