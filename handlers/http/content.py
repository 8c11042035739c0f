"""The type of a body, as a header tells it."""

from __future__ import annotations

from multidict import CIMultiDict


def content_type(headers: CIMultiDict[str]) -> str:
    """What headers say, or JSON."""
    return headers.get("Content-Type", "application/json")


def is_json(value: str) -> bool:
    """Whether a ``Content-Type`` means JSON."""
    kind = value.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")
