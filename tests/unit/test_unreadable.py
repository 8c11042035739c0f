"""Cancels and reruns that can't be read are passed over, and stop nothing."""

from typing import Any

import pytest

from agents.cancels import Cancels
from agents.retries import Retries
from jobs.model import JobId
from log.reader import Record
from tables.fold import Fence
from tables.partition import Partition

DEEP = b'{"x":' + b"[" * 100_000
NOT_UTF8 = b'{"id":"0-1","attempt":1,"who":"\xff"}'
UNREADABLE = [
    None,
    b"",
    b"x",
    b"[]",
    b"{}",
    b'{"id":5,"attempt":1}',
    b'{"id":"0-x","attempt":1}',
    b'{"id":"1-1","attempt":1}',  # another partition's
]


class Runner:
    """Remembers which reruns it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[JobId, int]] = []

    def rerun(self, job_id: JobId, attempt: int) -> None:
        self.asked.append((job_id, attempt))


def records(*values: bytes | None) -> list[Record]:
    return [Record(n, 0, None, value, ()) for n, value in enumerate(values)]


@pytest.fixture
def part() -> Partition:
    return Partition(0, Fence(1, "aaaa"))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "value",
    [
        *UNREADABLE,
        pytest.param(DEEP, id="deep"),
        pytest.param(b'{"id":"\xff","attempt":1}', id="not UTF-8"),
    ],
)
async def test_reruns(value: bytes | None, part: Partition) -> None:
    retries, runner = Retries(None, "jobs-retry"), Runner()  # type: ignore[arg-type] # writes nothing
    retries.runner = runner  # type: ignore[assignment] # by shape
    good = b'{"id":"0-7","attempt":2}'
    await retries.handle(part, records(value, good))
    assert runner.asked == [(JobId(0, 7), 2)]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "value",
    [
        *UNREADABLE,
        pytest.param(DEEP, id="deep"),
        pytest.param(NOT_UTF8, id="not UTF-8"),
    ],
)
async def test_cancels(value: bytes | None, part: Partition) -> None:
    nothing: Any = None  # what can't be read touches neither rows nor topics
    cancels = Cancels(nothing, nothing, nothing, nothing, ("jobs", "jobs-cancel"), {})
    await cancels.handle(part, records(value))
