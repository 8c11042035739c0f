"""How long a server asks us to wait."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 3_600.0


def retry_after_s(text: str, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` asks for, at most an hour; ``None`` for the usual backoff."""
    text = text.strip()
    if re.fullmatch(r"\d+", text, re.ASCII):
        seconds = float(text)  # of very many digits: infinite
    else:
        try:
            at = parsedate_to_datetime(text)
            seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp()
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
    # None for "at once", too: a server that is in trouble, or a clock that goes wrong.
    return min(seconds, MAX_RETRY_AFTER_S) if seconds > 0 else None
