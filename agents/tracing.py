"""Whether there are traces, and what is carried on where there are none."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from execution.executor import Outcome
from jobs.model import Job, JobId
from jobs.trace import current

if TYPE_CHECKING:
    from execution.tracing import Tracing

CLOSE_S = 3.0
_NEEDED = "opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http"


def tracing_or_exit(on: bool, service: str, worker: str) -> Tracing | None:
    """Start tracing if it is on; when its packages aren't there, a plain line and exit code 2."""
    if not on:
        return None
    try:
        from execution.tracing import Tracing
    except ImportError as exc:
        print(f"error: JOBS_OTEL=on needs {_NEEDED} ({exc}): pip install them", file=sys.stderr)
        raise SystemExit(2) from None
    return Tracing(service, worker)


async def close(tracing: Tracing | None) -> None:
    """Send what is left; a collector that doesn't answer keeps no worker from ending."""
    if tracing is None:
        return
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        try:
            tracing.close()
        finally:
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, name="traces", daemon=True).start()
    try:
        async with asyncio.timeout(CLOSE_S):
            await done.wait()
    except TimeoutError:
        pass  # the last spans are lost


@contextmanager
def attempt(
    tracing: Tracing | None, job_id: JobId, row: Job
) -> Iterator[Callable[[Outcome], None]]:
    """Around an attempt of a traced job: a span, or its caller's context carried on."""
    if tracing is not None:
        with tracing.attempt(job_id, row) as ended:
            yield ended
        return
    token = current.set(row.traceparent)
    try:
        yield lambda outcome: None
    finally:
        current.reset(token)


@contextmanager
def submission(tracing: Tracing | None, parent: str | None) -> Iterator[str | None]:
    """Around a submission; gives what its record carries."""
    if tracing is None:
        yield parent or current.get()
        return
    with tracing.submission(parent) as carried:
        yield carried
