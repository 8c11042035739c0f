"""The domain: what a job is and how it moves. Pure: no Kafka, no asyncio, no clock, no chance."""

from jobs.registry import Context, handler

__all__ = ["Context", "handler"]
