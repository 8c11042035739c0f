"""The worker, with a handler that takes its time to stop."""

from __future__ import annotations

import asyncio
from typing import Any

from app import app
from jobs import Context, handler


@handler("stubborn")
async def stubborn(ctx: Context, data: Any) -> None:
    """Tidies up for ``data`` seconds when it is stopped."""
    try:
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep(data)


__all__ = ["app"]
