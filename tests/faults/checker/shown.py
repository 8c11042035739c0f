"""How a row looks over HTTP, by the documents; and which rows an answer may have shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.faults.checker.fold import JobLog, Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEFAULTS = {"attempt": 0, "max_attempts": 3}
_TIMES = ("submitted_at", "started_at", "finished_at", "next_attempt_at")
# What a list and a status both tell; a status tells the result besides.
FIELDS = ("status", "handler", "attempt", "max_attempts", *_TIMES, "error", "worker", "result")
_BEFORE_ANY_ROW = {
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


def differences(row: Row, answer: dict[str, Any]) -> list[str]:
    """Where an answer isn't what the row says. Only what the answer tells is compared: the
    answer to a cancel has the state alone, an entry of a list no result."""
    if row.doc is None:
        return ["the row is removed"]
    told = shown(row.doc)
    return [
        f"{name} is {answer[name]!r}, the log says {told[name]!r}"
        for name in FIELDS
        if name in answer and answer[name] != told[name]
    ]


def positions(log: JobLog, answer: dict[str, Any]) -> list[int]:
    """Which rows an answer may have shown: 1 is the first that counts, and 0 stands for the
    time before any row, when the record alone is known."""
    found = [i for i, row in enumerate(log.rows, 1) if not differences(row, answer)]
    if all(answer.get(name, value) == value for name, value in _BEFORE_ANY_ROW.items()):
        found.insert(0, 0)
    return found
