"""What a record of ``jobs`` asks for, as far as it is told before it runs."""

from __future__ import annotations

from jobs.codec import decode_record
from jobs.model import Malformed
from jobs.registry import DEFAULT_HANDLER


def asked_handler(key: bytes | None, value: bytes | None) -> str:
    """The handler that a record asks for; empty if it can't be read."""
    request = decode_record(key, value)
    return "" if isinstance(request, Malformed) else request.handler or DEFAULT_HANDLER
