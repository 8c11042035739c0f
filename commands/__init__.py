"""Commands beside ``faust -A app worker``: what one asks about a checkout or a running system."""

from commands import handlers, schedules
from worker.app import JobsApp


def attach(app: JobsApp) -> None:
    """Add them to ``faust -A app …``."""
    handlers.attach(app)
    schedules.attach(app)


__all__ = ["attach"]
