"""Schedules by the second, for tests that can't wait for a minute."""

from __future__ import annotations

import os
from datetime import datetime

from jobs import Context, Scheduled, handler, schedule

CRON = os.environ.get("TEST_CRON", "*/2 * * * * *")
GRACE = os.environ.get("TEST_GRACE", "1m")


@schedule(CRON, missed="last", grace=GRACE)
@handler("tick")
async def tick(ctx: Context, data: Scheduled) -> str:
    """Says which time it is for."""
    return data.at.isoformat()


@schedule(CRON, handler="echo", name="skipping", missed="skip", grace=GRACE)
def skipping(at: datetime) -> str:
    """Data of ``echo``."""
    return at.isoformat()


@schedule("0 0 1 1 *", handler="echo", name="new-year")
def new_year(at: datetime) -> str:
    """Once a year."""
    return at.isoformat()


@schedule(CRON, handler="echo", name="broken")
def broken(at: datetime) -> str:
    """Never has any data."""
    raise SystemExit(3)
