"""Commands beside ``faust -A app worker``: what one asks about a checkout or a running system, and
what one does with the log. Each module has one; its class is Faust's command of that name."""

from commands import (
    cancel,
    handlers,
    inspect,
    jobs,
    rehearse,
    replay,
    reset,
    schedules,
    state,
    submit,
    tail,
    topics,
    verify,
)

__all__ = [
    "cancel",
    "handlers",
    "inspect",
    "jobs",
    "rehearse",
    "replay",
    "reset",
    "schedules",
    "state",
    "submit",
    "tail",
    "topics",
    "verify",
]
