"""The logger of a handler, wherever it runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from execution.messages import Log

HANDLER_LOGGER = "jobs.handler"
_LOGGER = logging.getLogger(HANDLER_LOGGER)
FIELDS = ("job", "attempt", "handler", "prefix")
"""What a record says of its attempt, for structured logs; ``prefix`` is the same for people."""


class BoundLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts the job in front of each message."""

    # The class's: one is made for each attempt, most log nothing, and what one says of its job is
    # put together when it is said.
    logger = _LOGGER
    extra = None

    def __init__(self, job_id: object, attempt: int, handler: str) -> None:
        """The logger of an attempt."""
        self._about = (job_id, attempt, handler)

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        """Put it in front, and into fields of the record beside those of the call itself."""
        job_id, attempt, handler = self._about
        # It becomes part of the format of what is logged, where a % has its own meaning.
        prefix = f"job {job_id} attempt {attempt} ({handler.replace('%', '?')}): "
        fields = {"job": str(job_id), "attempt": attempt, "handler": handler, "prefix": prefix}
        return f"{prefix}{msg}", {**kwargs, "extra": {**(kwargs.get("extra") or {}), **fields}}


class Forward(logging.Handler):
    """In a process: gives records to ``send``; tracebacks are text by then."""

    def __init__(self, send: Callable[[Log], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record; one that can't be formatted is told on stderr, as Python does it."""
        try:
            where = (record.created, record.pathname, record.lineno, record.funcName)
            error = record.exc_text or ""
            if record.exc_info and not error:
                error = (self.formatter or logging.Formatter()).formatException(record.exc_info)
            found = record.__dict__
            fields = tuple((name, found[name]) for name in FIELDS if name in found)
            self._send(Log(record.levelno, record.getMessage(), *where, error, fields))
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
                "exc_text": log.exception or None,
                **dict(log.fields),
            }
        )
    )
