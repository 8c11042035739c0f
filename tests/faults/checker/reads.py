"""Every look at a job that a client had, out of its calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tests.faults.checker.model import Call


class Read(NamedTuple):
    """A job's state as a call's answer told it."""

    job: str
    answer: dict[str, Any]
    call: Call


def reads(calls: Iterable[Call]) -> Iterator[Read]:
    """All looks, in the order of the calls."""
    for call in calls:
        answer = call.answer
        if not isinstance(answer, dict):
            continue
        if call.job is not None and call.status in (200, 202):
            yield Read(call.job, answer, call)
        elif call.is_list and call.status == 200:
            for entry in answer["jobs"]:
                yield Read(str(entry["id"]), entry, call)
