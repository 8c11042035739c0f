"""``http``: calls a URL with the job's data, so that a job can be written in any language.

Whoever can submit a job can name any URL. So an address is checked where it is used, when its
socket is made: whatever stood in the URL, in DNS or in a redirect, that is the address which is
connected to. docs/handlers-http.md tells all of it to users.
"""

from __future__ import annotations

import os
from typing import Any

from handlers.http.answer import MAX_BODY_BYTES
from handlers.http.call import HttpCall
from handlers.http.client import HttpClient
from handlers.http.retry_after import retry_after_s
from handlers.http.settings import HttpSettings, HttpSettingsError
from handlers.http.signing import signature
from jobs import Context, Resources, handler, shutdown, startup

__all__ = [
    "MAX_BODY_BYTES",
    "HttpCall",
    "HttpClient",
    "HttpSettings",
    "HttpSettingsError",
    "close_client",
    "http",
    "open_client",
    "retry_after_s",
    "signature",
]


@startup
async def open_client() -> HttpClient:
    """The shared client; wrong settings stop the worker's start."""
    return HttpClient(HttpSettings.of(os.environ))


@shutdown
async def close_client(resources: Resources) -> None:
    """End its connections."""
    await resources.get(HttpClient).close()


@handler("http", timeout="30s")
async def http(ctx: Context, data: HttpCall) -> dict[str, Any]:
    """Calls a URL with the job's data: jobs in any language."""
    if ctx.rehearsal:
        return {"status": None, "headers": {}, "body": None, "note": "a rehearsal: not called"}
    return await ctx.get(HttpClient).call(ctx, data)
