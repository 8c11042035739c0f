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
    wanted = {"waiting": 1, "executing": 0, "done": 2, "failed": 1, "canceled": 0}
    assert await counting.by_status() == wanted
    worker.admit(2, 0, row())
    assert await counting.by_status() == wanted
    monkeypatch.setattr(counting, "_until", 0.0)
    assert await counting.by_status() == {**wanted, "done": 3}
