"""A start that fails when something is open already."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import weakref
from collections.abc import AsyncIterator

from jobs import Resources, shutdown, startup


class Shop:
    """Opened, and closed again."""


class Bank:
    """Never opened."""


@startup
async def open_shop() -> AsyncIterator[Shop]:
    """Is open when the next one fails."""
    yield Shop()
    print("shop closed", flush=True)


@shutdown
async def close_bank(resources: Resources) -> None:
    """What it asks for isn't there."""
    resources.get(Bank)


@startup
async def open_bank() -> Bank:
    """Fails, as the environment says."""
    match os.environ.get("BANK"):
        case "exits":
            sys.exit(4)
        case "interrupts":
            raise KeyboardInterrupt
        case "hangs":
            print("waiting for the bank", flush=True)
            await asyncio.Event().wait()
        case "blocks":
            print("waiting for the bank", flush=True)
            time.sleep(600)  # noqa: ASYNC251 - a user's mistake, that a signal still ends
        case "is deaf":
            print("forgetting the bank", flush=True)
            bank = Bank()
            gone = weakref.ref(bank, lambda _: tell_oneself())
            del bank
            assert gone() is None
            print("waiting for the bank", flush=True)
            await asyncio.Event().wait()
    raise ConnectionError("the bank is away")


def tell_oneself() -> None:
    """SIGTERM; what its handler raised here, Python would throw away."""
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1_000):  # it is called between two steps
        pass
