"""Reading a body, for so long and no longer."""

from __future__ import annotations

import asyncio

from aiohttp import web

from web.problems import SlowBody

BODY_S = 30.0


async def read(request: web.Request) -> bytes:
    """All of it.

    Raises:
        SlowBody: it isn't there in time. One that sends a byte now and then would else hold a
            connection and what we know of it for ever.
    """
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise SlowBody(f"the body hasn't come in {BODY_S:g} s") from None
