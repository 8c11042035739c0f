"""The worker, held at the moment at which it has seen Kafka and made its topics, and has connected
nothing yet: until the file GATE is there. It says when, by the file AT_THE_GATE."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from app import app

before_start = app.before_start
assert before_start is not None


def wait_at_the_gate() -> None:
    """Until it is opened."""
    Path(os.environ["AT_THE_GATE"]).touch()
    while not Path(os.environ["GATE"]).exists():
        time.sleep(0.01)


async def hold() -> None:
    """What the worker does before its start, and then wait."""
    assert before_start is not None
    await before_start()
    await asyncio.to_thread(wait_at_the_gate)


app.before_start = hold

__all__ = ["app"]
