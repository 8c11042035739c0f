"""How a row looks over HTTP, by the documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEFAULTS = {"attempt": 0, "max_attempts": 3}
_TIMES = ("submitted_at", "started_at", "finished_at", "next_attempt_at")
# What a list and a status both tell; a status tells the result besides.
FIELDS = ("status", "handler", "attempt", "max_attempts", *_TIMES, "error", "worker", "result")
# How a job looks of which the record alone is known.
BEFORE_ANY_ROW: dict[str, Any] = {
    "status": "waiting",
    "attempt": 0,
    "started_at": None,
    "finished_at": None,
    "error": None,
    "worker": None,
}


def shown(doc: dict[str, Any]) -> dict[str, Any]:
    """A row as an answer has it."""
    told = {name: doc.get(name, _DEFAULTS.get(name)) for name in FIELDS}
    told["handler"] = told["handler"] or None
    return told | {name: time(doc.get(name)) for name in _TIMES}


def time(ms: int | None) -> str | None:
    """Epoch ms as RFC 3339 in UTC."""
    if ms is None or ms < 0:
        return None
    at = _EPOCH + timedelta(milliseconds=ms)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def differences(told: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    """Where an answer isn't what a row says (``told``, by ``shown``). Only what the answer tells
    is compared: that to a cancel has the state alone, an entry of a list no result."""
    return [
        f"{name} is {answer[name]!r}, the log says {told[name]!r}"
        for name in FIELDS
        if name in answer and answer[name] != told[name]
    ]
