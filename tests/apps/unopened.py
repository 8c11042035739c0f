"""A start that fails when something is open already."""

from __future__ import annotations

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
def open_bank() -> Bank:
    """Fails."""
    raise ConnectionError("the bank is away")
