"""Cursors with a place in each partition: ``3-1042.5-77``."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.errors import InvalidId
from jobs.model import JobId
from web.problems import BadRequest


def parse_places(text: str | None) -> dict[int, int]:
    """Partition → place, of a cursor; nothing if there is none.

    Raises:
        BadRequest: it is no cursor of this kind.
    """
    if text is None:
        return {}
    try:
        return dict(JobId.parse(part) for part in text.split("."))
    except InvalidId:
        raise BadRequest(
            "cursor: must be the `next` of an earlier answer to the same question", field="cursor"
        ) from None


def format_places(places: Mapping[int, int]) -> str:
    """The cursor of these places."""
    return ".".join(f"{n}-{place}" for n, place in sorted(places.items()))
