"""The worker, which tells when its loop ends in the middle of a stop."""

from __future__ import annotations

from app import app
from worker.worker import JobsWorker


def tell(self: JobsWorker) -> None:
    """Called by mode when the loop has ended."""
    if self._signal_stop_future is not None and not self._signal_stop_future.done():
        print("the loop has ended in the middle of the stop", flush=True)


JobsWorker.on_worker_shutdown = tell  # type: ignore[method-assign, assignment]

__all__ = ["app"]
