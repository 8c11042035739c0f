"""Handlers that make spans of their own, where traces are on, and submit follow-ups."""

from __future__ import annotations

import sys
from typing import Any

from jobs import Context, Retry, handler


@handler("look")
async def look(ctx: Context, data: Any) -> dict[str, Any]:
    """What it knows of traces, and whether the library is there."""
    return {"traceparent": ctx.traceparent, "imported": "opentelemetry" in sys.modules}


@handler("again", reruns=3, backoff=0)
async def again(ctx: Context, data: Any) -> str | None:
    """Fails once."""
    if ctx.attempt == 1:
        raise Retry("once more")
    return ctx.traceparent


@handler("a-span")
async def a_span(ctx: Context, data: Any) -> str:
    """In the event loop."""
    from opentelemetry import trace

    with trace.get_tracer("user").start_as_current_span("inner a-span"):
        return str(await ctx.submit("look"))


@handler("t-span")
def t_span(ctx: Context, data: Any) -> str:
    """In a thread."""
    from opentelemetry import trace

    with trace.get_tracer("user").start_as_current_span("inner t-span"):
        return str(ctx.submit_sync("look"))


@handler("p-span", process=True, timeout="30s")
def p_span(ctx: Context, data: Any) -> str:
    """In a process."""
    from opentelemetry import trace

    with trace.get_tracer("user").start_as_current_span("inner p-span"):
        return str(ctx.submit_sync("look"))


@handler("plain")
async def plain(ctx: Context, data: Any) -> str:
    """With no library: submits a follow-up."""
    return str(await ctx.submit("look"))
