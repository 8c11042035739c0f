"""Job functions of a shop, for the page: their data says how long they take and when they fail."""

from __future__ import annotations

import asyncio
from typing import Any

from jobs import Context, handler


@handler("email", timeout="5s", reruns=2)
async def email(ctx: Context, data: dict[str, Any]) -> dict[str, str]:
    """Sends one mail; the server refuses it as often as ``refused`` says."""
    await asyncio.sleep(float(data.get("takes_s", 0.1)))
    if ctx.attempt <= int(data.get("refused", 0)):
        raise ConnectionError("smtp.example: 421 too many connections")
    return {"message": f"<{ctx.job_id}@shop.example>"}


@handler("resize-image", timeout="60s", reruns=1)
async def resize(ctx: Context, data: dict[str, Any]) -> dict[str, Any]:
    """Makes thumbnails, and tells how far it is."""
    sizes = data["sizes"]
    for i, size in enumerate(sizes):
        ctx.progress(i / len(sizes), f"{size} px")
        await asyncio.sleep(float(data.get("each_s", 0.2)))
    return {"sizes": sizes}


@handler("invoice", timeout="1s", reruns=0)
async def invoice(ctx: Context, data: Any) -> str:
    """Books an invoice, unless it has no lines."""
    if not data:
        raise ValueError("an invoice without lines")
    return f"2026-{ctx.job_id}"
