"""How log records are written, as text or as JSON, and which are not: those that repeat."""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka.conn import AIOKafkaConnection

AGAIN_S = 60.0  # before a line that stands there already is written once more
BACK_S = 3.0  # without complaints, before Kafka is taken for back
MOST_KEPT = 500  # lines that are remembered
_LIBRARIES = {"aiokafka", "faust", "mode", "asyncio", "opentelemetry"}
_TALKERS = _LIBRARIES | {"agents", "tables", "log", "web", "worker", "execution"}
_LOST = re.compile(
    r"Unable connect to node|Unable to update metadata|NodeNotReadyError|KafkaConnectionError|"
    r"Connection (at \S+ closed|refused|reset)|RequestTimedOutError|[Cc]oordinator.* dead|"
    r"CoordinatorNotAvailable|No broker|Unable to (get|bootstrap)",
)
_OURS = re.compile(r"waits? for Kafka|is tried again|can't be audited now|no answer to a heartbeat")

logger = logging.getLogger("jobs.kafka")


class Once(logging.Filter):
    """Lets a line through once in ``AGAIN_S``, and of a broker that is gone only the first one.

    aiokafka tries again ten times a second, and tells each time that it failed, in four or five
    different lines. ``look`` says when it is over.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: OrderedDict[tuple[str, int, str], tuple[float, int]] = OrderedDict()
        self._lost_at: float | None = None
        self._last_at = 0.0
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written. It may get a word on what was left out."""
        try:
            text = record.getMessage()
        except Exception:
            return True  # whoever formats it tells what is wrong with it
        if record.levelno < logging.WARNING or record.name.partition(".")[0] not in _TALKERS:
            return True  # a handler's own lines are not ours to judge
        if _is_leftover(record, text):
            return False
        if self._is_of_kafka(record, text):
            return self._first_of_loss(record, text)
        return self._first(record, text)

    def look(self, answered_at: float) -> None:
        """Tell that Kafka answers again, if it does. To be called each second.

        Args:
            answered_at: ``time.monotonic()`` of the last request that was answered.
        """
        now = time.monotonic()
        if self._lost_at is None or now - self._last_at < BACK_S or answered_at < self._last_at:
            return
        lost_at, self._lost_at = self._lost_at, None
        logger.warning(
            "Kafka answers again, after %.0fs (%d lines on it were left out)",
            self._last_at - lost_at,
            self._left_out,
        )

    def _is_of_kafka(self, record: logging.LogRecord, text: str) -> bool:
        """Whether a line tells that Kafka is away. Ours wait for all sorts of things of Kafka;
        they count only while it is known to be away."""
        if record.name.startswith(("aiokafka", "faust", "mode")) and _LOST.search(text):
            self._last_at = time.monotonic()
            return True
        return self._lost_at is not None and _OURS.search(text) is not None

    def _first_of_loss(self, record: logging.LogRecord, text: str) -> bool:
        if self._lost_at is not None:
            self._left_out += 1
            return False
        self._lost_at, self._left_out = self._last_at, 0
        record.msg = (
            "no connection to Kafka: %s. It is tried again; a line will say when it is back"
        )
        record.args = (text.rstrip(". "),)
        return True

    def _first(self, record: logging.LogRecord, text: str) -> bool:
        key = (record.pathname, record.lineno, text)
        now = time.monotonic()
        at, count = self._seen.get(key, (None, 0))
        if at is not None and now - at < AGAIN_S:
            self._seen[key] = (at, count + 1)
            return False
        self._seen[key] = (now, 0)
        self._seen.move_to_end(key)
        if len(self._seen) > MOST_KEPT:
            self._seen.popitem(last=False)
        if count:
            record.msg, record.args = "%s (and %d times more since it was last told)", (text, count)
        return True


def _is_leftover(record: logging.LogRecord, text: str) -> bool:
    """Whether asyncio tells, with a traceback, of a lost connection that aiokafka has seen to.

    asyncio's streams mark the error of their end as seen when they are destroyed; among garbage
    that refers to itself, the future that holds it can be destroyed first (CPython 3.11 to 3.13).
    """
    error = record.exc_info[1] if record.exc_info else None
    if record.name != "asyncio" or not text.startswith("Future exception was never retrieved"):
        return False
    if not isinstance(error, OSError):
        return False
    codes = (frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__))
    return AIOKafkaConnection._on_read_task_error.__code__ in codes


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """Fields that a record hasn't are left out."""
        found = record.__dict__
        message = record.getMessage().removeprefix(found.get("prefix", ""))
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
            **{name: found[name] for name in ("job", "attempt", "handler") if name in found},
            "worker": self._worker,
        }
        if record.exc_text:
            line["exception"] = record.exc_text
        encodable = {k: _text(v) if isinstance(v, str) else v for k, v in line.items()}
        return msgspec.json.encode(encodable).decode()


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # a lone surrogate has no JSON


def use_json(worker: str) -> None:
    """From now on, also before Faust sets logging up, every line is JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(worker))
    logging.root.handlers[:] = [handler]
    logging.captureWarnings(True)


def say(text: str, *, level: int = logging.INFO) -> None:
    """Tell the person who starts the worker something: a plain line, or a record if lines are
    JSON. What is wrong goes to stderr."""
    if any(isinstance(each.formatter, JsonFormatter) for each in logging.root.handlers):
        record = logging.LogRecord("jobs.start", level, "", 0, text, None, None)
        logging.root.handle(record)
    else:
        stream = sys.stderr if level >= logging.WARNING else sys.stdout
        words = {logging.WARNING: "warning: ", logging.ERROR: "error: "}
        print(f"{words.get(level, '')}{text}", file=stream, flush=True)
