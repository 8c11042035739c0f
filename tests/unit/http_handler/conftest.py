"""The server that is called."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.unit.http_handler.serving import (
    Server,
    serving,
)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as started:
        yield started
