"""The logger of a handler, wherever it runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from execution.messages import Log

HANDLER_LOGGER = "jobs.handler"


class BoundLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts the job in front of each message."""

    @classmethod
    def of(cls, job_id: object, attempt: int) -> BoundLogger:
        """The logger of an attempt."""
        return cls(logging.getLogger(HANDLER_LOGGER), {"job": f"{job_id} attempt {attempt}"})

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        return f"job {self.extra['job'] if self.extra else ''}: {msg}", kwargs


class Forward(logging.Handler):
    """In a process: gives records to ``send``; tracebacks are text of theirs by then."""

    def __init__(self, send: Callable[[Log], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record; one that can't be formatted is told on stderr, as Python does it."""
        try:
            where = (record.created, record.pathname, record.lineno, record.funcName)
            self._send(Log(record.levelno, self.format(record), *where))
        except Exception:
            self.handleError(record)


def replay(log: Log, pid: int | None) -> None:
    """In the worker: log what a process has sent."""
    logger = logging.getLogger(HANDLER_LOGGER)
    if not logger.isEnabledFor(log.level):
        return
    logger.handle(
        logging.makeLogRecord(
            {
                "name": HANDLER_LOGGER,
                "levelno": log.level,
                "levelname": logging.getLevelName(log.level),
                "msg": log.text,
                "created": log.created,
                "msecs": log.created % 1 * 1000,
                "process": pid,
                "pathname": log.pathname,
                "lineno": log.line,
                "funcName": log.function,
            }
        )
    )
