"""Counting rows without holding the event loop up."""

from __future__ import annotations

import pytest

from jobs.model import Status
from tests.web_unit.fakes import Log, Worker, row
from web import counts


@pytest.mark.asyncio
@pytest.mark.parametrize("step", [1, 2, 3, 100])
async def test_each_row_is_counted_once_and_remembered_for_a_while(monkeypatch, step):
    monkeypatch.setattr(counts, "STEP_ROWS", step)
    rows = {0: row(), 5: row(), 6: row(Status.FAILED)}
    worker = Worker(Log({}), {0: rows, 1: {0: row(Status.WAITING)}, 2: {}})
    counting = counts.Counts(worker.owners)
    nothing = dict.fromkeys((status.value for status in Status), 0)
    wanted = {0: {**nothing, "done": 2, "failed": 1}, 1: {**nothing, "waiting": 1}, 2: nothing}
    assert await counting.by_partition() == wanted
    worker.admit(2, 0, row())
    assert await counting.by_partition() == wanted
    monkeypatch.setattr(counting, "_until", 0.0)
    assert await counting.by_partition() == {**wanted, 2: {**nothing, "done": 1}}


@pytest.mark.asyncio
async def test_a_partition_that_has_gone_is_not_remembered():
    worker = Worker(Log({}), {0: {0: row()}, 1: {0: row()}})
    counting = counts.Counts(worker.owners)
    assert (await counting.by_partition()).keys() == {0, 1}
    del worker.table.served[1]
    assert (await counting.by_partition()).keys() == {0}
