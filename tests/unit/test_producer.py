"""The producer that all rows and jobs go through."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
CODE = """
import asyncio, app

async def main():
    app.app.finalize()
    producer = app.app.producer._new_producer()
    print("acks", producer._sender._acks)
    await producer.stop()

asyncio.run(main())
"""


def test_no_environment_makes_it_wait_for_less_than_all_copies() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=CHECKOUT,
        env=os.environ | {"PRODUCER_ACKS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "acks -1" in ended.stdout.splitlines(), ended.stderr  # Kafka's number for all
