"""W3C trace context, as text: nothing here needs OpenTelemetry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextvars import ContextVar

TRACEPARENT = "traceparent"
"""The header's name, in HTTP and in records."""

# Version 00. A trace or a span of zeros only is none.
_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

current: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""Of the attempt that runs here: what it submits and calls belongs to the same trace."""


def traceparent(text: str | None) -> str | None:
    """The header's value if it is one, else ``None``; a wrong one is to be passed over."""
    return text if text and _FORM.fullmatch(text) else None


def traceparent_of(headers: Sequence[tuple[str, bytes | None]]) -> str | None:
    """A record's."""
    for name, value in headers:
        if name == TRACEPARENT and value is not None:
            return traceparent(value.decode("ascii", "replace"))
    return None
