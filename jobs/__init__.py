"""The domain: what a job is and how it moves. Pure: no Kafka, no asyncio, no clock, no chance.

What job functions need is importable from here.
"""

from jobs.context import Context
from jobs.registry import handler
from jobs.resources import Resources, shutdown, startup
from jobs.scheduling import Scheduled, schedule
from jobs.steering import Discard, Retry

__all__ = [
    "Context",
    "Discard",
    "Resources",
    "Retry",
    "Scheduled",
    "handler",
    "schedule",
    "shutdown",
    "startup",
]
