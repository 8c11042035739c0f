"""Histories by name, the rule that each breaks, and what several of them do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.faults.builder import Builder
from tests.faults.checker.model import Call

Case = Callable[[Builder], Any]
CASES: dict[str, tuple[str, Case]] = {}
AT_REST: set[str] = set()  # cases that break what is served at rest, so they end by themselves


def breaks(rule: str, *, rested: bool = False) -> Callable[[Case], Case]:
    """Put a case in: it breaks this rule, or none (``good``)."""

    def put(build: Case) -> Case:
        CASES[build.__name__] = rule, build
        if rested:
            AT_REST.add(build.__name__)
        return build

    return put


def without(builder: Builder, topic: str, offset: int) -> None:
    """Take a record out, as if it had never been: those behind it move up."""
    records = builder.history.topics[topic]
    del records[offset]
    records[offset:] = [r._replace(offset=r.offset - 1) for r in records[offset:]]


def last_offset(builder: Builder) -> int:
    return len(builder.history.topics["changelog"]) - 1


def change(call: Call, **more: Any) -> None:
    """Another answer of a call."""
    call.answer.update(more)
